"""The forms that a network's plain float32 graph can be written in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from export.variants.half import METHOD as HALF
from export.variants.half import store_half
from export.variants.layer_choice import LayerChoice
from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantisation import METHOD as INT8
from runtime.coco import Dataset
from runtime.metadata import InputSpec, KeptLayer
from runtime.samples import MaskKind

Precision = Literal["fp32", "fp16", "int8"]

ALLOWED_FALL = 0.005
"""The largest fall of pooled soft IoU on the validation split that a lower precision may cost."""
CALIBRATION_IMAGES = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """A graph made from the plain one.

    Attributes:
        method: in words.
        calibration: what ranges were taken from, in words; empty where there are none.
        kept: layers that stay float32.
    """

    model: onnx.ModelProto
    method: str
    calibration: str
    kept: tuple[KeptLayer, ...]


def half_variant(plain: onnx.ModelProto) -> Variant:
    """Return the graph with its weights stored in half precision."""
    model, left = store_half(plain)
    reasons = dict(left)
    kept = tuple(
        KeptLayer(node.name, name, reasons[name])
        for node in plain.graph.node
        for name in node.input
        if name in reasons
    )
    return Variant(model, HALF, "", kept)


def int8_variants(
    plain: onnx.ModelProto,
    spec: InputSpec,
    dataset: Dataset,
    *,
    masks: MaskKind,
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
        masks=masks,
        allowed=ALLOWED_FALL / 2,
        threads=threads,
        on_step=on_step,
    )
    calibration = f"{len(chosen)} images of {dataset.name}, train"
    for candidate in choice.candidates():
        yield Variant(candidate.model, INT8, calibration, candidate.kept)
