"""How much two measured files differ in soft IoU, image by image."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.measure.accuracy import Accuracy
from bench.measure.result import ModelResult
from runtime.scoring.comparison import Bootstrap, Interval


def iou_differences(models: Sequence[ModelResult]) -> dict[tuple[str, str], Interval]:
    """Return soft IoU of one file minus that of another, with its paired 95 % interval.

    The bootstrap draws images, or groups of similar ones where they are known, and takes both
    files' scores of what is drawn (`runtime.scoring.comparison`).

    Returns:
        By the paths of (one, other), each pair in the order of `models`; pairs that were not scored
        on the same images, or of which no image's score is known, are not there.
    """
    drawn: dict[tuple[object, ...], Bootstrap] = {}
    scored = [(model.path, model.accuracy) for model in models if model.accuracy is not None]
    found = {}
    for (one, first), (other, second) in combinations(scored, 2):
        images = _images(first)
        if first.per_image_iou and images == _images(second):
            if images not in drawn:
                drawn[images] = Bootstrap(len(first.per_image_iou), first.image_groups or None)
            values = np.array(first.per_image_iou), np.array(second.per_image_iou)
            found[one, other] = drawn[images].mean(values[0] - values[1])
    return found


def _images(accuracy: Accuracy) -> tuple[object, ...]:
    """Return what two files that were scored on the same images have in common."""
    count = len(accuracy.per_image_iou)
    return accuracy.data, accuracy.split, accuracy.masks, count, accuracy.image_groups
