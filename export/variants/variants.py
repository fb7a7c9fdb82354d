"""The forms other than the plain one that a network's graph can be written in."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import onnx

from export.variants.half import METHOD as HALF, store_half
from export.variants.layer_choice import LayerChoice
from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantization import METHOD as INT8
from export.winograd import Form, rewrite
from runtime.core.errors import ConfigError
from runtime.data.coco import Dataset
from runtime.model.metadata import InputSpec, UnconvertedLayer

Precision = Literal["fp32", "fp16", "int8"]
Optimization = Literal["winograd"]

ALLOWED_FALL = 0.005
"""The largest fall of pooled soft IoU on the valid split that a lower precision may cost."""
WINOGRAD_ALLOWED_FALL = 1e-5
WINOGRAD_TOLERANCE = 1e-4
"""The largest difference of probabilities: Winograd's sums are rounded at larger values."""
CALIBRATION_IMAGES = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """A graph made from the plain one.

    Attributes:
        precision: of the weights.
        method: in words.
        kept: layers that stay as they are.
        input: what the graph takes.
        allowed_fall: the largest fall of pooled soft IoU that passes.
        calibration: what ranges were taken from, in words; empty where there are none.
        tolerance: the largest difference to PyTorch's probabilities that passes; None where the
            graph is not meant to give them.
        for_speed: whether it is worth nothing unless it is faster.
    """

    model: onnx.ModelProto
    precision: Precision
    method: str
    kept: tuple[UnconvertedLayer, ...]
    input: InputSpec
    allowed_fall: float
    calibration: str = ""
    tolerance: float | None = None
    for_speed: bool = False


def ending(precision: Precision, optimization: Optimization | None) -> str:
    """Return what a file of a form has at the end of its name: "", "-int8", "-winograd".

    Raises:
        ConfigError: there is no such form.
    """
    if precision not in get_args(Precision) or (precision != "fp32" and optimization is not None):
        raise ConfigError(
            f"export: expected one of {', '.join(get_args(Precision))}, and an optimization of "
            f"fp32 alone, found {precision} and {optimization or 'no optimization'}"
        )
    if optimization is not None and optimization not in get_args(Optimization):
        raise ConfigError(
            f"export: expected the optimization {', '.join(get_args(Optimization))}, found "
            f"{optimization}"
        )
    form = optimization or precision
    return "" if form == "fp32" else f"-{form}"


def half_variant(plain: onnx.ModelProto, spec: InputSpec) -> Variant:
    """Return the graph with its weights stored in half precision."""
    model, left = store_half(plain)
    reasons = dict(left)
    kept = tuple(
        UnconvertedLayer(node.name, name, reasons[name])
        for node in plain.graph.node
        for name in node.input
        if name in reasons
    )
    return Variant(model, "fp16", HALF, kept, spec, ALLOWED_FALL)


def winograd_variant(plain: onnx.ModelProto, spec: InputSpec) -> Variant:
    """Return the graph for the one size of `spec`, with its 3x3 convolutions rewritten.

    Raises:
        ConfigError: no convolution of it gains.
    """
    rewritten = rewrite(plain, (spec.height, spec.width))
    forms = Counter(layer.form for layer in rewritten.layers)
    counted = ", ".join(f"{number} {form}" for form, number in sorted(forms.items()))
    return Variant(
        rewritten.model,
        "fp32",
        "3x3 convolutions by Winograd's minimal filtering (Lavin, Gray 2016) in standard "
        f"operators: {counted}",
        tuple(
            UnconvertedLayer(layer.name, f"{layer.name}.weight", "estimated to be fastest as it is")
            for layer in rewritten.layers
            if layer.form is Form.DIRECT
        ),
        replace(spec, multiple=0),
        WINOGRAD_ALLOWED_FALL,
        tolerance=WINOGRAD_TOLERANCE,
        for_speed=True,
    )


def int8_variants(
    plain: onnx.ModelProto,
    spec: InputSpec,
    dataset: Dataset,
    *,
    threads: int,
    on_step: Callable[[str], None],
) -> Iterator[Variant]:
    """Yield INT8 graphs, each with fewer layers in INT8 than the one before.

    Up to 64 images are taken, evenly spread over the train split.

    Raises:
        DataError: the data set has no train split, or an image cannot be read.
    """
    samples = dataset.split("train").samples
    chosen = np.linspace(0, len(samples) - 1, min(CALIBRATION_IMAGES, len(samples)))
    choice = LayerChoice(
        shuffle_pixels(plain),
        [samples[int(index)] for index in chosen],
        (spec.height, spec.width),
        threads=threads,
        on_step=on_step,
    )
    calibration = f"{len(chosen)} images of {dataset.name}, train"
    for candidate in choice.candidates():
        yield Variant(
            candidate.model,
            "int8",
            INT8,
            candidate.kept,
            spec,
            ALLOWED_FALL,
            calibration=calibration,
        )
