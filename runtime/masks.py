"""Masks from annotations, rasterised straight at the asked size."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import AnnotationError
from runtime.images import MAX_PIXELS, Size

Box = tuple[float, float, float, float]
"""x, y, width, height in the pixels of the original image."""

MAX_POLYGON_NUMBERS = 200_000
_FAR = 8.0


def mask_from_boxes(boxes: Iterable[Box], original: Size, size: Size) -> NDArray[np.uint8]:
    """Rasterise the union of boxes.

    A pixel is foreground when its centre, scaled to the original image, lies in
    [x, x + width) x [y, y + height).

    Returns:
        uint8 [height, width] of 0 and 1.
    """
    mask = np.zeros(size, np.uint8)
    for x, y, width, height in boxes:
        rows = _interval(y, height, original[0], size[0])
        columns = _interval(x, width, original[1], size[1])
        mask[rows, columns] = 1
    return mask


def _interval(start: float, length: float, original: int, size: int) -> slice:
    # Multiplied before it is divided: a centre on an edge then falls on the right side.
    limits = (-1.0, original + 1.0)
    first, last = (
        math.ceil(min(max(edge, limits[0]), limits[1]) * size / original - 0.5)
        for edge in (start, start + length)
    )
    return slice(min(max(first, 0), size), min(max(last, 0), size))


def finite_numbers(value: object) -> list[float] | None:
    """Return a list of numbers from JSON as floats; None for anything else, NaN and infinity."""
    if not isinstance(value, list) or any(type(item) not in (int, float) for item in value):
        return None
    try:
        numbers = [float(item) for item in value]
    except OverflowError:
        return None
    return numbers if all(math.isfinite(number) for number in numbers) else None


def mask_from_segmentations(
    segmentations: Iterable[Any], original: Size, size: Size, *, where: str
) -> NDArray[np.uint8]:
    """Rasterise the union of COCO segmentations: lists of polygons, or run-length encodings.

    Polygons are scaled, then filled by pycocotools; a run-length encoding is decoded at its own
    size and sampled at the pixels' centres.

    Args:
        where: what the segmentations belong to, for the message.

    Returns:
        uint8 [height, width] of 0 and 1.

    Raises:
        AnnotationError: a segmentation is neither, is not finite, or asks for too much memory.
    """
    mask = np.zeros(size, np.uint8)
    for segmentation in segmentations:
        if isinstance(segmentation, dict):
            mask |= _from_runs(segmentation, original, size, where)
        elif isinstance(segmentation, list) and segmentation:
            mask |= _from_polygons(segmentation, original, size, where)
        else:
            raise AnnotationError(f"{where}: expected polygons or a run-length encoding")
    return mask


def _from_polygons(
    polygons: list[Any], original: Size, size: Size, where: str
) -> NDArray[np.uint8]:
    from pycocotools import mask as coco_mask

    limits = np.array([size[1], size[0]], np.float64)
    scale = limits / (original[1], original[0])
    scaled = []
    for polygon in polygons:
        numbers = finite_numbers(polygon)
        if numbers is None or len(numbers) % 2 or not 6 <= len(numbers) <= MAX_POLYGON_NUMBERS:
            raise AnnotationError(
                f"{where}: expected polygons of 6 to {MAX_POLYGON_NUMBERS} finite numbers, x and y "
                "in turn"
            )
        # pycocotools walks along every edge: far outside, a vertex would only cost time and memory.
        points = np.clip(np.reshape(numbers, (-1, 2)) * scale, -_FAR * limits, _FAR * limits)
        scaled.append(points.ravel().tolist())
    runs = coco_mask.merge(coco_mask.frPyObjects(scaled, size[0], size[1]))
    return _expand(_run_lengths(runs["counts"].decode("ascii"), where), size)


def _from_runs(runs: dict[str, Any], original: Size, size: Size, where: str) -> NDArray[np.uint8]:
    stated = runs.get("size")
    if stated != list(original) or original[0] * original[1] > MAX_PIXELS:
        raise AnnotationError(
            f"{where}: expected a run-length encoding of size {list(original)}, found {stated!r}"
        )
    lengths = _run_lengths(runs.get("counts"), where)
    if min(lengths, default=0) < 0 or sum(lengths) != original[0] * original[1]:
        raise AnnotationError(
            f"{where}: expected run lengths that sum to {original[0] * original[1]}, found others"
        )
    full = _expand(lengths, original)
    rows = ((np.arange(size[0]) + 0.5) * original[0] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * original[1] / size[1]).astype(np.intp)
    return full[np.ix_(rows, columns)]


def _expand(lengths: list[int], size: Size) -> NDArray[np.uint8]:
    """Turn run lengths, of 0 and 1 in turn down the columns, into a mask."""
    values = np.arange(len(lengths), dtype=np.uint8) % 2
    return np.repeat(values, lengths).reshape(size, order="F")


def _run_lengths(counts: object, where: str) -> list[int]:
    """Return the run lengths of COCO's uncompressed list, or of its compressed string.

    The string is read here and not by pycocotools, whose C code trusts it: five bits a character,
    the sixth says that more follow, and from the fourth run on a length is stored as the difference
    to the length two before (`rleFrString` in pycocotools' maskApi.c is the specification).
    """
    if isinstance(counts, list) and all(type(count) is int for count in counts):
        return counts
    if not isinstance(counts, str) or len(counts) > MAX_PIXELS:
        raise AnnotationError(f"{where}: expected run lengths as a list of integers or a string")
    lengths: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 30:
            raise AnnotationError(
                f"{where}: expected a COCO run-length string, found {character!r}"
            )
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise AnnotationError(f"{where}: expected a COCO run-length string, found a cut one")
    return lengths
