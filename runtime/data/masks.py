"""Masks from annotations, rasterized directly at the requested size."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import AnnotationError
from runtime.data.orientation import Size
from runtime.data.segmentations import Box, finite_numbers, run_lengths

MAX_POLYGON_NUMBERS = 200_000
"""Most coordinates in the polygons of one annotation."""
MAX_PERIMETER = 1 << 22
"""Largest perimeter of an annotation's polygons, in pixels of the mask; pycocotools takes 80 bytes
for each."""
_FAR = 8.0


def mask_from_boxes(boxes: Iterable[Box], original: Size, size: Size) -> NDArray[np.uint8]:
    """Rasterize the union of boxes.

    A pixel is foreground when its center, scaled to the original image, lies in
    [x, x + width) x [y, y + height).

    Args:
        boxes: in pixels of the original image.
        original: size of the original image.
        size: size of the mask.

    Returns:
        uint8 [height, width] of 0 and 1.

    Example:
        >>> mask_from_boxes([(2, 0, 4, 4)], original=(8, 8), size=(4, 4))
        array([[0, 1, 1, 0],
               [0, 1, 1, 0],
               [0, 0, 0, 0],
               [0, 0, 0, 0]], dtype=uint8)
    """
    mask = np.zeros(size, np.uint8)
    for x, y, width, height in boxes:
        rows = _interval(y, height, original[0], size[0])
        columns = _interval(x, width, original[1], size[1])
        mask[rows, columns] = 1
    return mask


def _interval(start: float, length: float, original: int, size: int) -> slice:
    # Multiplying before dividing keeps a pixel center that lies on an edge on the right side.
    limits = (-1.0, original + 1.0)
    first, last = (
        math.ceil(min(max(edge, limits[0]), limits[1]) * size / original - 0.5)
        for edge in (start, start + length)
    )
    return slice(min(max(first, 0), size), min(max(last, 0), size))


def mask_from_segmentations(
    segmentations: Iterable[Any], original: Size, size: Size, *, where: str
) -> NDArray[np.uint8]:
    """Rasterize the union of COCO segmentations: lists of polygons, or run-length encodings.

    Polygons are scaled, then filled by pycocotools. A run-length encoding is decoded at its own
    size and sampled at the centers of the pixels.

    Args:
        segmentations: as in a COCO file (https://cocodataset.org/#format-data).
        original: size of the original image.
        size: size of the mask.
        where: name of the segmentations' source, for messages.

    Returns:
        uint8 [height, width] of 0 and 1.

    Raises:
        AnnotationError: a segmentation is neither polygons nor a run-length encoding, is not
            finite, or needs too much memory.

    Example:
        >>> runs = {"size": [2, 4], "counts": [2, 4, 2]}  # down the columns: 2 zeros, 4 ones, ...
        >>> mask_from_segmentations([runs], (2, 4), (2, 4), where="a.png")
        array([[0, 1, 1, 0],
               [0, 1, 1, 0]], dtype=uint8)
    """
    mask = np.zeros(size, np.uint8)
    for segmentation in segmentations:
        if isinstance(segmentation, dict):
            mask |= _from_runs(segmentation, original, size, where)
        elif isinstance(segmentation, list) and segmentation:
            mask |= _from_polygons(segmentation, original, size, where)
        else:
            raise AnnotationError(f"{where}: neither polygons nor a run-length encoding")
    return mask


def _from_polygons(
    polygons: list[Any], original: Size, size: Size, where: str
) -> NDArray[np.uint8]:
    from pycocotools import mask as coco_mask

    limits = np.array([size[1], size[0]], np.float64)
    scale = limits / (original[1], original[0])
    scaled = []
    numbers_left, perimeter = MAX_POLYGON_NUMBERS, 0.0
    for polygon in polygons:
        numbers = finite_numbers(polygon)
        if numbers is None or len(numbers) % 2 or not 6 <= len(numbers) <= numbers_left:
            raise AnnotationError(
                f"{where}: expected polygons of 6 or more finite numbers, x and y "
                f"alternating, and at most {MAX_POLYGON_NUMBERS} numbers in total"
            )
        numbers_left -= len(numbers)
        # pycocotools walks along every edge: a vertex far outside would only cost time and memory.
        points = np.clip(np.reshape(numbers, (-1, 2)) * scale, -_FAR * limits, _FAR * limits)
        perimeter += float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())
        scaled.append(points.ravel().tolist())
    if perimeter > MAX_PERIMETER:
        raise AnnotationError(
            f"{where}: expected polygons with a perimeter of up to {MAX_PERIMETER} pixels, "
            f"found {perimeter:g}"
        )
    runs = coco_mask.merge(coco_mask.frPyObjects(scaled, size[0], size[1]))
    return _expand(run_lengths(runs["counts"].decode("ascii"), where), size)


def _from_runs(runs: dict[str, Any], original: Size, size: Size, where: str) -> NDArray[np.uint8]:
    stated = runs.get("size")
    if stated != list(original) or original[0] * original[1] > runtime.data.images.MAX_PIXELS:
        raise AnnotationError(
            f"{where}: expected a run-length encoding of size {list(original)}, found {stated!r}"
        )
    lengths = run_lengths(runs.get("counts"), where)
    if lengths.min(initial=0) < 0 or lengths.sum() != original[0] * original[1]:
        raise AnnotationError(
            f"{where}: the run lengths do not add up to {original[0] * original[1]} pixels"
        )
    full = _expand(lengths, original)
    rows = ((np.arange(size[0]) + 0.5) * original[0] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * original[1] / size[1]).astype(np.intp)
    return full[np.ix_(rows, columns)]


def _expand(lengths: NDArray[np.int64], size: Size) -> NDArray[np.uint8]:
    """Turn run lengths, alternating between 0 and 1 down the columns, into a mask."""
    values = np.arange(len(lengths), dtype=np.uint8) % 2
    return np.repeat(values, lengths).reshape(size, order="F")
