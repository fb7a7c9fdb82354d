"""Rasterizing boxes, polygons and run lengths, against a plain rule and pycocotools."""

import contextlib
import io
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from runtime.data.coco import Dataset
from runtime.data.masks import mask_from_boxes

Mask = NDArray[np.uint8]
Size = tuple[int, int]
SIDES = st.integers(1, 14)
SIZES = st.tuples(SIDES, SIDES)
EIGHTHS = st.integers(-40, 160).map(lambda n: n / 8)  # exact, so that the rule below is too
LENGTHS = st.integers(1, 160).map(lambda n: n / 8)
Box = tuple[float, float, float, float]
BOXES = st.lists(st.tuples(EIGHTHS, EIGHTHS, LENGTHS, LENGTHS), max_size=3)


def decoded(runs: Any) -> Mask:
    """What pycocotools makes of compressed runs; it uses numpy in a way that numpy deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(coco_mask.decode(runs), np.uint8)


# Boxes


def center_inside(index: int, sides: tuple[int, int], start: float, length: float) -> bool:
    """Whether a pixel's center, scaled to the original, lies in [start, start + length)."""
    original, side = sides
    center = (index + Fraction(1, 2)) * original / side
    return Fraction(start) <= center < Fraction(start) + Fraction(length)


def by_the_center_rule(boxes: list[Box], original: Size, size: Size) -> Mask:
    mask = np.zeros(size, np.uint8)
    for x, y, width, height in boxes:
        rows = [center_inside(i, (original[0], size[0]), y, height) for i in range(size[0])]
        columns = [center_inside(i, (original[1], size[1]), x, width) for i in range(size[1])]
        mask[np.ix_(rows, columns)] = 1
    return mask


@given(BOXES, SIZES, SIZES)
@settings(max_examples=150, deadline=None)
def test_a_pixel_is_foreground_where_its_center_lies_in_a_box(
    boxes: list[Box], original: Size, size: Size
) -> None:
    mask = mask_from_boxes(boxes, original, size)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, by_the_center_rule(boxes, original, size))


@pytest.mark.parametrize("side", [224, 256])
@pytest.mark.parametrize("original", [640, 768, 800])
def test_a_center_on_a_boxes_edge_belongs_to_the_box_that_starts_there(
    original: int, side: int
) -> None:
    for index in range(side):
        edge = (index + Fraction(1, 2)) * original / side
        if Fraction(float(edge)) == edge:
            begins = mask_from_boxes([(float(edge), 0, original, 1)], (1, original), (1, side))
            ends = mask_from_boxes([(0, 0, float(edge), 1)], (1, original), (1, side))
            assert (begins[0, index], ends[0, index]) == (1, 0), f"center {index} at {edge}"


@given(BOXES, SIZES, SIZES)
@settings(max_examples=50, deadline=None)
def test_the_mask_of_boxes_is_the_union_of_their_masks(
    boxes: list[Box], original: Size, size: Size
) -> None:
    union = np.zeros(size, np.uint8)
    for box in boxes:
        union |= mask_from_boxes([box], original, size)
    np.testing.assert_array_equal(mask_from_boxes(boxes, original, size), union)


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.5, 10), st.floats(0.5, 10))
@settings(max_examples=60, deadline=None)
def test_boxes_that_share_an_edge_share_no_pixel(x: float, y: float, w: float, h: float) -> None:
    size = (20, 20)
    left = mask_from_boxes([(x, y, w, h)], size, size)
    right = mask_from_boxes([(x + w, y, 3.0, h)], size, size)
    assert not (left & right).any()


@pytest.mark.parametrize(
    "box", [(-1e300, 0.0, 1e300, 1.0), (1e300, 0.0, 1.0, 1.0), (0.0, 1e308, 1.0, 1e308)]
)
def test_a_box_far_outside_marks_nothing(box: Box) -> None:
    assert not mask_from_boxes([box], (4, 4), (8, 8)).any()


def test_a_box_around_everything_marks_everything() -> None:
    assert mask_from_boxes([(-1e300, -1e300, 2e300, 2e300)], (4, 4), (8, 8)).all()


def read_coco(path: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def union_by_pycocotools(coco: Any, file_name: str, identities: dict[str, int]) -> Mask:
    found = coco.loadAnns(coco.getAnnIds(identities[file_name]))
    image = coco.imgs[identities[file_name]]
    mask = np.zeros((image["height"], image["width"]), np.uint8)
    for annotation in found:
        mask |= decoded(coco.annToRLE(annotation))  # annToMask, with its warning kept quiet
    return mask


@pytest.mark.parametrize("name", ["valid", "test"])
def test_real_masks_at_full_size_are_those_of_pycocotools(real_data: Dataset, name: str) -> None:
    split = real_data.split(name)
    coco = read_coco(split.annotation_file)
    identities = {image["file_name"]: image["id"] for image in coco.dataset["images"]}
    for sample in split.samples[::2]:
        expected = union_by_pycocotools(coco, sample.file_name, identities)
        size = (sample.height, sample.width)
        polygons, boxes = sample.mask(size, "segmentation"), sample.mask(size, "boxes")
        np.testing.assert_array_equal(polygons, expected)
        # bbox and polygon differ by up to half a pixel, so at most at the edge
        perimeter = sum(2 * (a.box[2] + a.box[3]) for a in sample.annotations)
        assert np.count_nonzero(boxes != expected) <= perimeter
        assert np.count_nonzero(boxes & expected) > 0


# Polygons


# Run lengths


def test_a_box_edge_on_a_pixel_center_is_on_the_same_side_at_every_size() -> None:
    """Where size / original is not a binary fraction, the order of the operations decides."""
    for original, size in ((640, 224), (49, 10), (500, 7), (1000, 3)):
        for pixel in range(size):
            center = Fraction(2 * pixel + 1, 2) * original / size
            if float(center) != center:
                continue
            mask = mask_from_boxes([(float(center), 0, original, 1)], (1, original), (1, size))
            assert mask[0].tolist() == [0] * pixel + [1] * (size - pixel)
