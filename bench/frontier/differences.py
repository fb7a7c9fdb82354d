"""Differences in soft IoU between measured files, image by image."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.measure.accuracy import Accuracy
from bench.measure.result import ModelResult
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.intervals import Interval

SMALLEST_DIFFERENCE = 1e-3
"""A smaller difference in soft IoU counts as none: bf16 changes it by a tenth of this."""


def iou_sign(difference: Interval) -> int:
    """Return the sign of a difference in soft IoU, or 0 where it does not count.

    It counts if its interval excludes 0, and if it is at least `SMALLEST_DIFFERENCE`: one file on
    two providers differs by rounding, and that in the same direction on most images.

    Example:
        >>> iou_sign(Interval(0.02, 0.01, 0.03)), iou_sign(Interval(0.02, -0.01, 0.05))
        (1, 0)
        >>> iou_sign(Interval(1e-8, 2e-9, 2e-8))
        0
    """
    if not difference.excludes_zero or abs(difference.value) < SMALLEST_DIFFERENCE:
        return 0
    return 1 if difference.value > 0.0 else -1


def iou_differences(models: Sequence[ModelResult]) -> dict[tuple[str, str], Interval]:
    """Return the mean difference in soft IoU of each pair of files, with its paired 95 % interval.

    The bootstrap draws images, or groups of similar images if they are known, and takes both files'
    scores of each drawn image (`runtime.scoring.comparison`).

    Returns:
        Soft IoU of the first path minus that of the second, by (first, second) in the order of
        `models`; withheld if too few images or groups are behind it. A pair is missing if its
        files were not scored on the same images, or if the scores of the single images are unknown.
    """
    bootstraps: dict[tuple[object, ...], Bootstrap] = {}
    scored = [(model.name, model.accuracy) for model in models if model.accuracy is not None]
    differences = {}
    for (first_path, first), (second_path, second) in combinations(scored, 2):
        images = _images(first)
        if not first.per_image_iou or images != _images(second):
            continue
        if images not in bootstraps:
            groups = first.image_groups or None
            bootstraps[images] = Bootstrap(len(first.per_image_iou), groups)
        values = np.array(first.per_image_iou) - np.array(second.per_image_iou)
        differences[first_path, second_path] = (
            bootstraps[images].mean(values).hide_value_if_withheld()
        )
    return differences


def _images(accuracy: Accuracy) -> tuple[object, ...]:
    """Return a key that is equal for files that were scored on the same images."""
    count = len(accuracy.per_image_iou)
    return accuracy.data, accuracy.split, accuracy.masks, count, accuracy.image_groups
