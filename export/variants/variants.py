"""The variants of a network's file: fp16, INT8 and Winograd."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx

from export.request import WeightPrecision
from export.variants.half import METHOD as HALF, store_half
from export.variants.layer_choice import LayerChoice
from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantization import METHOD as INT8
from export.winograd import ConvAlgorithm, rewrite
from runtime.core.progress import ProgressCallback
from runtime.data.coco import Dataset
from runtime.model.certificate import UnconvertedLayer
from runtime.model.metadata import InputSpec

ALLOWED_FALL = 0.005
"""The largest accepted fall of pooled soft IoU on the valid split, for a lower precision."""
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
        unconverted: the layers that are as in the plain graph.
        input: the input that the graph takes.
        allowed_fall: the largest accepted fall of pooled soft IoU.
        calibration: the images that ranges were taken from, in words; empty without ranges.
        tolerance: the largest accepted difference from PyTorch's probabilities; None where the
            graph is not meant to reproduce them.
        for_speed: whether it is only worth writing where it is faster.
    """

    model: onnx.ModelProto
    precision: WeightPrecision
    method: str
    unconverted: tuple[UnconvertedLayer, ...]
    input: InputSpec
    allowed_fall: float
    calibration: str = ""
    tolerance: float | None = None
    for_speed: bool = False


def half_variant(plain: onnx.ModelProto, spec: InputSpec) -> Variant:
    """Return the graph with its weights stored in half precision."""
    model, left = store_half(plain)
    reasons = dict(left)
    unconverted = tuple(
        UnconvertedLayer(node.name, name, reasons[name])
        for node in plain.graph.node
        for name in node.input
        if name in reasons
    )
    return Variant(model, "fp16", HALF, unconverted, spec, ALLOWED_FALL)


def winograd_variant(plain: onnx.ModelProto, spec: InputSpec) -> Variant:
    """Return the graph for the one size of `spec`, with its 3x3 convolutions rewritten.

    Raises:
        ConfigError: none of its convolutions gains.
    """
    rewritten = rewrite(plain, (spec.height, spec.width))
    algorithms = Counter(layer.algorithm for layer in rewritten.layers)
    counted = ", ".join(f"{number} {name}" for name, number in sorted(algorithms.items()))
    return Variant(
        rewritten.model,
        "fp32",
        "3x3 convolutions by Winograd's minimal filtering (Lavin, Gray 2016) in standard "
        f"operators: {counted}",
        tuple(
            UnconvertedLayer(
                layer.name, f"{layer.name}.weight", "direct convolution is estimated to be fastest"
            )
            for layer in rewritten.layers
            if layer.algorithm is ConvAlgorithm.DIRECT
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
    on_progress: ProgressCallback | None = None,
) -> Iterator[Variant]:
    """Yield INT8 graphs, each with fewer layers in INT8 than the one before.

    Ranges are taken from up to 64 images, spread evenly over the train split.

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
        on_progress=on_progress,
    )
    calibration = f"{len(chosen)} images of {dataset.name}, train"
    for candidate in choice.candidates():
        yield Variant(
            candidate.model,
            "int8",
            INT8,
            candidate.unconverted,
            spec,
            ALLOWED_FALL,
            calibration=calibration,
        )
