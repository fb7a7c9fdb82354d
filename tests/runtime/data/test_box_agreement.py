"""Boxes that do not lie on their segmentations, and the mistakes that explain them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from runtime.data.box_agreement import compare_boxes
from runtime.data.samples import Annotation, Sample

HEIGHT, WIDTH = 60, 90
Box = tuple[float, float, float, float]
Mask = NDArray[np.uint8]


def ellipses(number: int, height: int = HEIGHT, width: int = WIDTH) -> list[Mask]:
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:height, :width]
    masks = []
    for _ in range(number):
        y, x = rng.uniform(8, height - 8), rng.uniform(8, width - 8)
        down, across = rng.uniform(3, 8, 2)
        inside = ((rows - y) / down) ** 2 + ((columns - x) / across) ** 2 <= 1
        masks.append(inside.astype(np.uint8))
    return masks


def box_of(mask: Mask) -> Box:
    """Return the box of a mask as pycocotools finds it."""
    x, y, width, height = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask))).tolist()
    return x, y, width, height


def run_lengths(values: NDArray[np.uint8]) -> list[int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values, [2]])))
    return [int(length) for length in np.diff(np.concatenate([[0], edges]))]


def down_the_columns(mask: Mask) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": run_lengths(mask.ravel(order="F"))}


def along_the_rows(mask: Mask) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": run_lengths(mask.ravel())}


def polygon(mask: Mask) -> list[list[float]]:
    """Return the polygon through the ends of each row of a convex mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = [(float(mask[y].argmax()), float(y)) for y in rows]
    right = [(float(mask.shape[1] - mask[y, ::-1].argmax()), float(y + 1)) for y in rows]
    return [[number for point in left + right[::-1] for number in point]]


def sample(box: Box, segmentation: object, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Sample:
    annotation = Annotation(1, box, segmentation)
    return Sample(Path("a.png"), "a.png", size[1], size[0], (annotation,))


@pytest.mark.parametrize("form", [down_the_columns, polygon])
def test_boxes_of_sound_masks_agree(form: Callable[[Mask], object]) -> None:
    found = compare_boxes([sample(box_of(mask), form(mask)) for mask in ellipses(30)])
    assert (found.compared, found.apart, found.first, found.cause) == (30, 0, "", None)


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (64, 64)])
def test_run_lengths_along_the_rows_are_recognized(size: tuple[int, int]) -> None:
    masks = ellipses(30, *size)
    found = compare_boxes([sample(box_of(m), along_the_rows(m), size) for m in masks])
    assert found.mostly_apart
    assert "the run lengths seem to go along the rows" in str(found.cause)


@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        (
            lambda x, y, w, h: (x, HEIGHT - y - h, w, h),
            "the boxes seem to measure y from the bottom",
        ),
        (lambda x, y, w, h: (x, y, x + w, y + h), "the boxes seem to be two corners"),
        (lambda x, y, w, h: (x + w / 2, y + h / 2, w, h), "the boxes seem to state their center"),
    ],
)
@pytest.mark.parametrize("form", [down_the_columns, polygon])
def test_mistaken_boxes_are_recognized(
    mistake: Callable[..., Box], cause: str, form: Callable[[Mask], object]
) -> None:
    found = compare_boxes([sample(mistake(*box_of(m)), form(m)) for m in ellipses(40)])
    assert found.mostly_apart
    assert str(found.cause).startswith(cause)


def test_polygons_that_are_shares_of_the_image_are_recognized() -> None:
    samples = []
    for mask in ellipses(20):
        points = np.reshape(polygon(mask)[0], (-1, 2)) / (WIDTH, HEIGHT)
        samples.append(sample(box_of(mask), [points.ravel().tolist()]))
    found = compare_boxes(samples)
    assert "the polygons seem to be shares of the image" in str(found.cause)


def test_no_cause_is_invented() -> None:
    masks = ellipses(40)
    others = [*masks[1:], masks[0]]
    found = compare_boxes(
        [sample(box_of(o), polygon(m)) for o, m in zip(others, masks, strict=True)]
    )
    assert found.mostly_apart
    assert (found.first, found.cause) == ("a.png", None)


def test_rounding_and_a_few_odd_boxes_are_no_contradiction() -> None:
    specks = [sample((10, 10, 1, 1), [[10.6, 10.2, 11.4, 10.2, 11.4, 11.3]]) for _ in range(6)]
    assert compare_boxes(specks).apart == 0
    odd = [sample((40, 40, 9, 9), [[1, 1, 9, 1, 9, 9]]) for _ in range(6)]
    found = compare_boxes(specks + odd)
    assert (found.apart, found.mostly_apart, found.cause) == (6, False, None)


def test_annotations_without_a_usable_segmentation_are_not_compared() -> None:
    unusable = [None, [], [[1, 2]], {"size": [1, 1], "counts": [1]}, "text"]
    assert compare_boxes([sample((1, 1, 5, 5), s) for s in unusable]).compared == 0


def test_of_many_annotations_a_part_is_compared() -> None:
    many = [sample((10, 10, 1, 1), [[10, 10, 11, 10, 11, 11]])] * 4001
    assert 1000 < compare_boxes(many).compared <= 2000
