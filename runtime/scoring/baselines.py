"""Baselines: three predictions without a network, with which its scores are compared.

* all background: probability 0 everywhere;
* mean training mask: the share of training images in which a pixel is foreground;
* nearest training image: the mask of the training image whose 32x32 gray version correlates best.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import MaskChoice
from runtime.data.coco import Split
from runtime.data.orientation import Size
from runtime.data.samples import MaskKind
from runtime.data.targets import choose_targets
from runtime.data.thumbnails import iter_thumbnails, thumbnails
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation import Evaluation, Mask, score

Outcome = tuple[NDArray[np.float32], Mask]


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
    samples, kind = split.samples, choose_targets(masks, [train, split]).masks
    background = np.zeros(size, np.float32)
    mean = _mean_mask(train, size, kind)

    def constant(probability: NDArray[np.float32]) -> Iterator[Outcome]:
        return ((probability, sample.mask(size, kind)) for sample in samples)

    outcomes = {
        "all background": constant(background),
        "mean training mask": constant(mean),
        "nearest training image": _nearest(train, split, size, kind),
    }
    return tuple(score(name, size, samples, each, clinical) for name, each in outcomes.items())


def _mean_mask(train: Split, size: Size, masks: MaskKind) -> NDArray[np.float32]:
    total = np.zeros(size, np.int64)
    for sample in train.samples:
        total += sample.mask(size, masks)
    return (total / len(train.samples)).astype(np.float32)


def _nearest(train: Split, split: Split, size: Size, masks: MaskKind) -> Iterator[Outcome]:
    known = thumbnails(train.samples)
    for sample, thumbnail in zip(split.samples, iter_thumbnails(split.samples), strict=True):
        nearest = train.samples[int(np.argmax(known @ thumbnail))]
        yield nearest.mask(size, masks).astype(np.float32), sample.mask(size, masks)
