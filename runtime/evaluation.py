"""Scoring networks, and floors, on a split."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from runtime.coco import Split
from runtime.images import Size, check_size, load_scan, resize_map, to_input
from runtime.machine import available_cores
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
from runtime.predictor import Predictor
from runtime.samples import MaskKind, Sample
from runtime.workers import map_ahead

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
    """What a network, or a floor, scores on a split.

    Attributes:
        name: the network's file or the floor's name.
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

    Images are decoded and masks drawn ahead in threads; the result does not depend on their
    timing. Beside an image's sums nothing is kept.

    Args:
        size: (height, width) at which masks are drawn and probabilities compared with them, by
            default that of the network's input; a probability map of another size is resized to it
            (`runtime.images.resize_map`). Networks of several input sizes are only scored on the
            same pixels where they are compared at one size.
        on_image: called with the number of images done and of all.

    Raises:
        ConfigError: `size` is not possible.
        ImageError, AnnotationError: a sample cannot be read.
        ModelError: the network's output is not a probability map.
    """
    compared_at = predictor.size if size is None else size
    check_size(compared_at)

    def load(sample: Sample) -> tuple[NDArray[np.float32], Mask]:
        pixels = load_scan(sample.path, predictor.size).pixels
        return to_input(pixels), sample.mask(compared_at, masks)

    def outcomes() -> Iterator[tuple[NDArray[np.float32], Mask]]:
        loaded = map_ahead(
            load, split.samples, workers=predictor.threads, ahead=2 * predictor.batch_size
        )
        while batch := list(islice(loaded, predictor.batch_size)):
            inputs = np.stack([image for image, _ in batch])
            for probability, (_, mask) in zip(predictor.run(inputs), batch, strict=True):
                yield resize_map(probability, compared_at), mask

    name = str(predictor.file.path)
    return score(name, compared_at, split.samples, outcomes(), on_image)


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

    def measure(
        sample: Sample, probability: NDArray[np.float32], mask: Mask
    ) -> tuple[SampleSums, CalibrationSums]:
        calibration = CalibrationSums()
        calibration.add(probability, mask)
        sums = pixel_sums(probability, mask), thresholded_sums(probability, mask)
        return SampleSums(sample.file_name, *sums), calibration

    # In threads, so that the next outcome is computed meanwhile.
    cores = available_cores()
    items = ((sample, *outcome) for sample, outcome in zip(samples, outcomes, strict=True))
    measured = map_ahead(lambda item: measure(*item), items, workers=cores, ahead=cores)
    calibration = CalibrationSums()
    kept = []
    for sums, image in measured:
        calibration.merge(image)
        kept.append(sums)
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
