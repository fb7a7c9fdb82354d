"""Comparison of the boxes of a COCO file with its segmentations.

A conversion that mistakes rows for columns, or measures y from the bottom, leaves a valid file
whose masks miss their objects. Box and segmentation describe one region, so a file that has
both betrays the mistake.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.data.segmentations import Box, box_of_segmentation

_LEAST_OVERLAP = 0.5
_COMPARED = 2000
"""Most annotations that are compared; a conversion errs in all alike."""
_MARGIN = 1.0
"""Pixels by which boxes are widened on each side, as programs round them differently."""


@dataclass(frozen=True, slots=True)
class BoxAgreement:
    """The boxes of a COCO file that overlap with the boxes around their segmentations.

    Attributes:
        compared: number of annotations that were compared, which have both.
        apart: number of those whose two boxes have an IoU below 0.5.
        first: file name of the first image with such an annotation; empty where there is none.
        cause: the mistake that explains most annotations, in words; None where most agree as
            stated, or no known mistake explains them.
    """

    compared: int
    apart: int
    first: str
    cause: str | None

    @property
    def mostly_apart(self) -> bool:
        """True where more than half of the annotations are apart."""
        return 2 * self.apart > self.compared


def compare_boxes(samples: Sequence[Sample]) -> BoxAgreement:
    """Compare the boxes of annotations with the boxes around their segmentations.

    Of more than 2000 annotations, at most so many are compared, evenly chosen.

    Example:
        >>> from pathlib import Path
        >>> from runtime.data.samples import Annotation
        >>> stated = Annotation(7, (1.0, 16.0, 4.0, 3.0), [[1, 1, 5, 1, 5, 4]])
        >>> compare_boxes([Sample(Path("a.png"), "a.png", 20, 20, (stated,))]).cause
        'the boxes seem to measure y from the bottom, where COCO does from the top'
    """
    pairs = [(sample, annotation) for sample in samples for annotation in sample.annotations]
    outlined = []
    for sample, annotation in pairs[:: max(1, -(-len(pairs) // _COMPARED))]:
        size = (sample.height, sample.width)
        around = box_of_segmentation(annotation.segmentation, size)
        if around is not None:
            outlined.append((sample, _Boxes(annotation.box, around, annotation.segmentation, size)))
    apart = [sample for sample, boxes in outlined if not _overlap(boxes.stated, boxes.around)]
    found = BoxAgreement(len(outlined), len(apart), apart[0].file_name if apart else "", None)
    if not found.mostly_apart:
        return found
    explained = {
        cause: sum(_overlap(*mended(boxes)) for _, boxes in outlined)
        for cause, mended in _CAUSES.items()
    }
    cause = max(explained, key=lambda cause: explained[cause])
    return replace(found, cause=cause) if 2 * explained[cause] > len(outlined) else found


class _Boxes(NamedTuple):
    """The two boxes of an annotation, its segmentation, and the size of its image."""

    stated: Box
    around: Box
    segmentation: Any
    image: Size


def _from_the_bottom(boxes: _Boxes) -> tuple[Box, Box]:
    x, y, width, height = boxes.stated
    return (x, boxes.image[0] - y - height, width, height), boxes.around


def _corners(boxes: _Boxes) -> tuple[Box, Box]:
    x, y, right, bottom = boxes.stated
    return (x, y, right - x, bottom - y), boxes.around


def _center(boxes: _Boxes) -> tuple[Box, Box]:
    x, y, width, height = boxes.stated
    return (x - width / 2, y - height / 2, width, height), boxes.around


def _along_the_rows(boxes: _Boxes) -> tuple[Box, Box]:
    height, width = boxes.image
    if isinstance(boxes.segmentation, dict):
        turned = {**boxes.segmentation, "size": [width, height]}
        around = box_of_segmentation(turned, (width, height))
        if around is not None:
            y, x, down, across = around
            return boxes.stated, (x, y, across, down)
    return boxes.stated, boxes.around


def _shares(boxes: _Boxes) -> tuple[Box, Box]:
    (height, width), (x, y, across, down) = boxes.image, boxes.around
    return boxes.stated, (x * width, y * height, across * width, down * height)


_CAUSES: Mapping[str, Callable[[_Boxes], tuple[Box, Box]]] = {
    "the run lengths seem to go along the rows, where COCO's go down the columns": _along_the_rows,
    "the polygons seem to be shares of the image, where COCO has pixels": _shares,
    "the boxes seem to measure y from the bottom, where COCO does from the top": _from_the_bottom,
    "the boxes seem to be two corners, where COCO has x, y, width and height": _corners,
    "the boxes seem to state their center, where COCO has the upper left corner": _center,
}
"""Known mistakes: the two boxes of an annotation as they would be without each."""


def _overlap(box: Box, other: Box) -> bool:
    """Return whether the IoU of two boxes, each widened by a margin, is at least 0.5."""
    sides, areas = [], []
    for x, y, width, height in (box, other):
        if width < 0 or height < 0:
            return False
        sides.append((x - _MARGIN, y - _MARGIN, x + width + _MARGIN, y + height + _MARGIN))
        areas.append((width + 2 * _MARGIN) * (height + 2 * _MARGIN))
    lefts, tops, rights, bottoms = zip(*sides, strict=True)
    common = max(0.0, min(rights) - max(lefts)) * max(0.0, min(bottoms) - max(tops))
    return bool(common >= _LEAST_OVERLAP * (sum(areas) - common))
