"""Scoring networks, and baselines, on a split."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.data.coco import Split
from runtime.data.images import Size, check_size, load_scan, resize_map
from runtime.data.samples import MaskKind, Sample
from runtime.metrics import (
    METRICS,
    Calibration,
    CalibrationSums,
    PixelSums,
    Scores,
    Spread,
    pixel_sums,
    pooled,
    scores,
    spread,
    thresholded_sums,
)
from runtime.model.predictor import Predictor

Mask = NDArray[np.uint8]
OnImage = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SampleSums:
    """One image's sums: of the probabilities, and of the decisions at 0.5."""

    file: str
    soft: PixelSums
    thresholded: PixelSums


@dataclass(frozen=True, slots=True)
class Averages:
    """One kind of metric over a split.

    Attributes:
        per_image: how each metric is distributed over the images, by its name.
        pooled: the metrics of all pixels together.
    """

    per_image: dict[str, Spread]
    pooled: Scores


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a network, or a baseline, scores on a split.

    Attributes:
        name: the network's file or the baseline's name.
        size: (height, width) at which masks and probabilities were compared.
        samples: in the split's order.
    """

    name: str
    size: Size
    samples: tuple[SampleSums, ...]
    soft: Averages
    thresholded: Averages
    calibration: Calibration


def evaluate(
    predictor: Predictor,
    split: Split,
    *,
    masks: MaskKind = "boxes",
    size: Size | None = None,
    on_image: OnImage | None = None,
) -> Evaluation:
    """Score a network on a split.

    Images are decoded, masks drawn, and batches computed ahead in threads, as the predictor's
    `concurrency` says; the result does not depend on their timing. Beside an image's sums nothing
    is kept.

    Args:
        size: (height, width) at which masks are drawn and probabilities compared with them, by
            default that of the network's input; a probability map of another size is resized to it
            (`runtime.data.images.resize_map`). Networks of several input sizes are only scored on
            the same pixels where they are compared at one size.
        on_image: called with the number of images done and of all.

    Raises:
        ConfigError: `size` is not possible.
        ImageError, AnnotationError: a sample cannot be read.
        ModelError: the network's output is not a probability map.
    """
    compared_at = predictor.size if size is None else size
    check_size(compared_at)

    def load(sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        return load_scan(sample.path, predictor.size).pixels, sample.mask(compared_at, masks)

    outcomes = (
        (resize_map(probability, compared_at), mask)
        for probability, mask in predictor.run_ahead(split.samples, load)
    )
    name = str(predictor.file.path)
    return score(name, compared_at, split.samples, outcomes, on_image)


def score(
    name: str,
    size: Size,
    samples: tuple[Sample, ...],
    outcomes: Iterable[tuple[NDArray[np.float32], Mask]],
    on_image: OnImage | None = None,
) -> Evaluation:
    """Score probabilities against masks.

    Args:
        outcomes: a sample's probability map float32 [H, W] in [0, 1] and mask [H, W] of 0 and 1,
            in the samples' order.
    """
    calibration = CalibrationSums()
    kept = []
    for sample, (probability, mask) in zip(samples, outcomes, strict=True):
        calibration.add(probability, mask)
        sums = pixel_sums(probability, mask), thresholded_sums(probability, mask)
        kept.append(SampleSums(sample.file_name, *sums))
        if on_image is not None:
            on_image(len(kept), len(samples))
    return Evaluation(
        name=name,
        size=size,
        samples=tuple(kept),
        soft=_averages([sums.soft for sums in kept]),
        thresholded=_averages([sums.thresholded for sums in kept]),
        calibration=calibration.result(),
    )


def _averages(images: list[PixelSums]) -> Averages:
    each = [scores(sums) for sums in images]
    spreads = {name: spread([getattr(image, name) for image in each]) for name in METRICS}
    return Averages(spreads, pooled(images))
