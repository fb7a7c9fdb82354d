"""Baselines: three predictions without a network, with which its scores are compared.

* all background: probability 0 everywhere;
* mean training mask: the share of training images in which a pixel is foreground;
* nearest training image: the mask of the training image whose 32x32 gray version correlates best.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import LengthUnit, MaskChoice
from runtime.data.orientation import Size
from runtime.data.samples import MaskKind, Sample
from runtime.data.split import Split
from runtime.data.targets import choose_targets
from runtime.data.thumbnails import iter_thumbnails, thumbnails
from runtime.scoring.clinical import unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation import Evaluation, NetworkSums, Outcome, conclude, sum_outcomes
from runtime.scoring.patients import groups_of


@dataclass(frozen=True, slots=True)
class TrainingMasks:
    """The part of the train split that the baselines predict from.

    Attributes:
        samples: the images of the train split.
        masks: the kind of masks that they predict.
        size: (height, width) of the predictions.
        mean: the mean mask, float32 [height, width].
        thumbnails: of the images, float32 [samples, 1024] (`runtime.data.thumbnails`).
    """

    samples: Sequence[Sample]
    masks: MaskKind
    size: Size
    mean: NDArray[np.float32]
    thumbnails: NDArray[np.float32]


def evaluate_baselines(
    train: Split,
    split: Split,
    size: Size,
    *,
    masks: MaskChoice = "auto",
    clinical: ClinicalConfig | None = None,
) -> tuple[Evaluation, ...]:
    """Score the three baselines on a split.

    Args:
        train: the split from which masks are averaged or copied.
        split: the images to predict.
        size: (height, width) at which masks and predictions are compared.
        masks: draw the masks from "boxes" or "segmentation"; "auto" is what the annotations of
            both splits allow (`choose_targets`).
        clinical: the scores to add; by default none.

    Returns:
        The evaluations of "all background", "mean training mask" and "nearest training image".

    Raises:
        ImageError, AnnotationError: a sample of either split cannot be read.
    """
    samples = split.samples
    config, unit, groups = clinical or ClinicalConfig(), unit_of(samples), groups_of(samples)
    kind = choose_targets(masks, [train, split]).masks
    (known,) = training_masks(train.samples, [size], kind)
    sums = sum_baselines(known, samples, config, unit)
    return tuple(conclude(each, config, unit, groups) for each in sums)


def training_masks(
    samples: Sequence[Sample], sizes: Sequence[Size], masks: MaskKind
) -> tuple[TrainingMasks, ...]:
    """Return what the baselines know of the train split, at each size.

    Raises:
        ImageError, AnnotationError: a sample cannot be read.
    """
    known = thumbnails(samples)
    return tuple(
        TrainingMasks(samples, masks, size, _mean_mask(samples, size, masks), known)
        for size in sizes
    )


def sum_baselines(
    train: TrainingMasks, samples: Sequence[Sample], clinical: ClinicalConfig, unit: LengthUnit
) -> tuple[NetworkSums, ...]:
    """Return the sums of the three baselines over some images, of which there may be none.

    Args:
        clinical, unit: as for `runtime.scoring.evaluation.sum_network`.

    Raises:
        ImageError, AnnotationError: a sample cannot be read.
    """
    size = train.size

    def constant(probability: NDArray[np.float32]) -> Iterator[Outcome]:
        return ((probability, sample.mask(size, train.masks)) for sample in samples)

    outcomes = {
        "all background": constant(np.zeros(size, np.float32)),
        "mean training mask": constant(train.mean),
        "nearest training image": _nearest(train, samples),
    }
    return tuple(
        sum_outcomes(name, size, samples, each, clinical, unit) for name, each in outcomes.items()
    )


def _mean_mask(samples: Sequence[Sample], size: Size, masks: MaskKind) -> NDArray[np.float32]:
    total = np.zeros(size, np.int64)
    for sample in samples:
        total += sample.mask(size, masks)
    return (total / len(samples)).astype(np.float32)


def _nearest(train: TrainingMasks, samples: Sequence[Sample]) -> Iterator[Outcome]:
    size, masks = train.size, train.masks
    for sample, thumbnail in zip(samples, iter_thumbnails(samples), strict=True):
        nearest = train.samples[int(np.argmax(train.thumbnails @ thumbnail))]
        yield nearest.mask(size, masks).astype(np.float32), sample.mask(size, masks)
