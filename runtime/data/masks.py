"""Masks from annotations, rasterized directly at the requested size."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import AnnotationError
from runtime.data.orientation import Size

Box = tuple[float, float, float, float]
"""x, y, width, height in the pixels of the original image."""

MAX_POLYGON_NUMBERS = 200_000
"""Most coordinates in the polygons of one annotation."""
MAX_PERIMETER = 1 << 22
"""Largest perimeter of an annotation's polygons, in pixels of the mask; pycocotools takes 80 bytes
for each."""
MAX_RUN_CHARACTERS = 1 << 24
"""Longest string of a run-length encoding."""
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


def finite_numbers(value: object) -> list[float] | None:
    """Return a list of finite numbers from JSON as floats; None for any other value.

    Example:
        >>> finite_numbers([1, 2.5])
        [1.0, 2.5]
        >>> finite_numbers([1, "2"]) is None, finite_numbers([math.nan]) is None
        (True, True)
    """
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


def pixels_outside(segmentations: Iterable[Any], original: Size) -> float:
    """Return how far the polygons reach beyond their image at most, in pixels of the image.

    Args:
        segmentations: segmentations that `mask_from_segmentations` accepts.
        original: size of the image.

    Example:
        >>> pixels_outside([[[0, 0, 8, 0, 8, 11.5]]], original=(8, 8))
        3.5
    """
    limits = (original[1], original[0])
    outside = 0.0
    for segmentation in segmentations:
        for polygon in segmentation if isinstance(segmentation, list) else ():
            points = np.reshape(np.array(polygon, np.float64), (-1, 2))
            outside = max(outside, float(-points.min()), float((points - limits).max()))
    return outside


def box_of_segmentation(segmentation: object, original: Size) -> Box | None:
    """Return the smallest box around a COCO segmentation; None where it is not a usable one.

    Args:
        segmentation: polygons or a run-length encoding, as in a COCO file.
        original: size of the image.

    Example:
        >>> box_of_segmentation([[1, 2, 5, 2, 5, 4]], (8, 8))
        (1.0, 2.0, 4.0, 2.0)
        >>> box_of_segmentation({"size": [2, 4], "counts": [2, 4, 2]}, (2, 4))
        (1.0, 0.0, 2.0, 2.0)
        >>> box_of_segmentation([], (8, 8)) is None
        True
    """
    if isinstance(segmentation, dict):
        return _box_of_runs(segmentation, original)
    points = _points(segmentation)
    if points is None:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = low.tolist(), (high - low).tolist()
    return x, y, width, height


def is_box(segmentation: object) -> bool:
    """Return whether a segmentation is one polygon that is merely a box.

    Example:
        >>> is_box([[1, 1, 5, 1, 5, 4, 1, 4, 1, 1]]), is_box([[1, 1, 5, 1, 5, 4]])
        (True, False)
    """
    if not isinstance(segmentation, list) or len(segmentation) != 1:
        return False
    points = _points(segmentation)
    if points is None:
        return False
    corners = {(x, y) for x, y in points.tolist()}
    return len(corners) == 4 and all(len({c[axis] for c in corners}) == 2 for axis in (0, 1))


def _points(segmentation: object) -> NDArray[np.float64] | None:
    """Return the vertices of all polygons of a segmentation, float64 [n, 2]."""
    polygons = segmentation if isinstance(segmentation, list) else []
    numbers = [finite_numbers(polygon) for polygon in polygons]
    if not numbers or any(n is None or len(n) % 2 or len(n) < 6 for n in numbers):
        return None
    return np.reshape(np.concatenate([n for n in numbers if n is not None]), (-1, 2))


def _box_of_runs(runs: dict[str, Any], original: Size) -> Box | None:
    height, width = original
    try:
        lengths = _run_lengths(runs.get("counts"), "")
    except AnnotationError:
        return None
    fits = runs.get("size") == [height, width] and lengths.sum() == height * width
    if not fits or lengths.min(initial=0) < 0:
        return None
    ends = np.cumsum(lengths)
    first, last = (ends - lengths)[1::2], ends[1::2] - 1
    first, last = first[last >= first], last[last >= first]
    if not first.size:
        return None
    left, right = int(first[0]) // height, int(last[-1]) // height
    whole = bool((first // height != last // height).any())  # a run that enters the next column
    top = 0 if whole else int((first % height).min())
    bottom = height - 1 if whole else int((last % height).max())
    return float(left), float(top), float(right - left + 1), float(bottom - top + 1)


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
    return _expand(_run_lengths(runs["counts"].decode("ascii"), where), size)


def _from_runs(runs: dict[str, Any], original: Size, size: Size, where: str) -> NDArray[np.uint8]:
    stated = runs.get("size")
    if stated != list(original) or original[0] * original[1] > runtime.data.images.MAX_PIXELS:
        raise AnnotationError(
            f"{where}: expected a run-length encoding of size {list(original)}, found {stated!r}"
        )
    lengths = _run_lengths(runs.get("counts"), where)
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


def _run_lengths(counts: object, where: str) -> NDArray[np.int64]:
    """Return the run lengths of COCO's uncompressed list, or of its compressed string.

    The string is decoded here because the C code of pycocotools trusts it. Each character holds
    five bits, and a sixth that tells whether more characters follow. From the fourth run on, a
    length is stored as the difference to the length two before. The specification is `rleFrString`
    in the maskApi.c of pycocotools.
    """
    most = runtime.data.images.MAX_PIXELS
    if isinstance(counts, list) and all(type(c) is int and 0 <= c <= most for c in counts):
        return np.array(counts, np.int64)
    if not isinstance(counts, str) or len(counts) > MAX_RUN_CHARACTERS or not counts.isascii():
        raise AnnotationError(
            f"{where}: the run lengths are neither a list of integers from 0 to {most} nor an "
            f"ASCII string of up to {MAX_RUN_CHARACTERS} characters"
        )
    codes = np.frombuffer(counts.encode("ascii"), np.uint8) - np.uint8(48)
    last = np.flatnonzero(codes & 0x20 == 0)  # the last character of each length
    first = np.concatenate([[0], last[:-1] + 1]) if last.size else last
    sizes = last - first + 1
    if codes.size and (
        codes.max() > 63 or not last.size or last[-1] != codes.size - 1 or sizes.max() > 7
    ):
        raise AnnotationError(f"{where}: not a COCO run-length string: {counts[:40]!r}")
    digits = np.arange(codes.size) - np.repeat(first, sizes)
    values = (codes & 0x1F).astype(np.int64) << 5 * digits
    lengths = np.add.reduceat(values, first) if first.size else np.zeros(0, np.int64)
    lengths -= np.where(codes[last] & 0x10, np.int64(1) << 5 * sizes, 0)
    for chain in (lengths[1::2], lengths[2::2]):
        np.cumsum(chain, out=chain)
    return lengths
