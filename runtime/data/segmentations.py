"""Segmentations of COCO files: their polygons and run lengths, before anything is drawn.

The format is https://cocodataset.org/#format-data.
"""

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

MAX_RUN_CHARACTERS = 1 << 24
"""Longest string of a run-length encoding."""
_MOST_COMPARED, _MOST_POINTS = 16, 10_000
"""Most polygons of an annotation, and their points, among which one inside another is looked for.
"""
_FRAGMENTS = (0, 2, 4)
"""Numbers in a polygon of fewer than three points."""


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


def nested_polygons(segmentation: object) -> object:
    """Return a segmentation with its polygons in an outer list, which some programs leave out.

    Example:
        >>> nested_polygons([1, 1, 5, 1, 5, 4])
        [[1, 1, 5, 1, 5, 4]]
        >>> nested_polygons([[1, 1, 5, 1, 5, 4]])
        [[1, 1, 5, 1, 5, 4]]
    """
    flat = isinstance(segmentation, list) and finite_numbers(segmentation)
    return [segmentation] if flat else segmentation


def without_fragments(segmentation: object) -> object:
    """Return a segmentation without polygons of fewer than three points, if others are left.

    Labeling tools leave such fragments behind. They cover no area, and no program can draw them.

    Example:
        >>> without_fragments([[1, 1, 5, 1, 5, 4], [7, 7]])
        [[1, 1, 5, 1, 5, 4]]
        >>> without_fragments([[7, 7]])
        [[7, 7]]
    """
    if not isinstance(segmentation, list):
        return segmentation
    whole = [p for p in segmentation if not (isinstance(p, list) and len(p) in _FRAGMENTS)]
    return whole or segmentation


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


def has_nested_polygons(segmentation: object) -> bool:
    """Return whether a polygon of a segmentation lies inside another one, as a hole would.

    Example:
        >>> has_nested_polygons([[0, 0, 9, 0, 9, 9, 0, 9], [3, 3, 5, 3, 5, 5]])
        True
        >>> has_nested_polygons([[0, 0, 9, 0, 9, 9, 0, 9], [13, 3, 15, 3, 15, 5]])
        False
    """
    polygons = segmentation if isinstance(segmentation, list) else []
    if not 1 < len(polygons) <= _MOST_COMPARED:
        return False
    found = [points for polygon in polygons if (points := _points([polygon])) is not None]
    if sum(map(len, found)) > _MOST_POINTS:
        return False
    return any(
        inner is not outer and all(_encloses(outer, p) for p in inner[:: 1 + len(inner) // 5])
        for inner in found
        for outer in found
    )


def _encloses(polygon: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Return whether a point is inside a polygon: a ray from it crosses an odd number of edges."""
    (x, y), start, end = point, polygon, np.roll(polygon, -1, axis=0)
    crossed = (start[:, 1] > y) != (end[:, 1] > y)
    (x0, y0), (x1, y1) = start[crossed].T, end[crossed].T
    return bool(np.count_nonzero(x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)) % 2)


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
        lengths = run_lengths(runs.get("counts"), "")
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


def run_lengths(counts: object, where: str) -> NDArray[np.int64]:
    """Return the run lengths of COCO's uncompressed list, or of its compressed string.

    The string is decoded here because the C code of pycocotools trusts it. Each character holds
    five bits, and a sixth that states whether more characters follow. From the fourth run on, a
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
