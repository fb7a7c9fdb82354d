"""Polygons and run lengths of a COCO file, drawn as masks."""

import contextlib
import tracemalloc
import warnings
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from runtime.core.errors import AnnotationError
from runtime.data.masks import mask_from_segmentations
from runtime.data.segmentations import pixels_outside

Mask = NDArray[np.uint8]


Size = tuple[int, int]


SIDES = st.integers(1, 14)


SIZES = st.tuples(SIDES, SIDES)


def decoded(runs: Any) -> Mask:
    """What pycocotools makes of compressed runs; it uses numpy in a way that numpy deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(coco_mask.decode(runs), np.uint8)


def segmented(segmentation: object, original: Size, size: Size | None = None) -> Mask:
    return mask_from_segmentations([segmentation], original, size or original, where="a.png")


def filled(polygons: list[list[float]], size: Size) -> Mask:
    return decoded(coco_mask.merge(coco_mask.frPyObjects(polygons, *size)))


def polygons_of(low: float, high: float) -> st.SearchStrategy[list[list[float]]]:
    point = st.tuples(st.floats(low, high), st.floats(low, high))
    polygon = st.lists(point, min_size=3, max_size=6).map(lambda ps: [v for p in ps for v in p])
    return st.lists(polygon, min_size=1, max_size=3)


@given(polygons_of(0, 20))
@settings(max_examples=60, deadline=None)
def test_polygons_at_full_size_are_those_of_pycocotools(polygons: list[list[float]]) -> None:
    mask = segmented(polygons, (20, 20))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, filled(polygons, (20, 20)))


@given(polygons_of(0, 20), SIZES)
@settings(max_examples=40, deadline=None)
def test_a_polygon_in_half_pixels_is_the_same_polygon(
    polygons: list[list[float]], size: Size
) -> None:
    doubled = [[2 * value for value in polygon] for polygon in polygons]
    np.testing.assert_array_equal(
        segmented(doubled, (40, 40), size), segmented(polygons, (20, 20), size)
    )


def test_a_polygon_is_scaled_along_each_axis_by_its_own_factor() -> None:
    rectangle = [[4, 2, 12, 2, 12, 6, 4, 6]]
    expected = np.zeros((16, 8), np.uint8)
    expected[4:12, 2:6] = 1
    np.testing.assert_array_equal(segmented(rectangle, (8, 16), (16, 8)), expected)


def test_a_polygon_partly_outside_is_cut_off_at_the_edge_not_bent() -> None:
    triangle = [[-10.0, 10.0, 10.0, 0.0, 10.0, 20.0]]
    np.testing.assert_array_equal(segmented(triangle, (20, 20)), filled(triangle, (20, 20)))


@pytest.mark.parametrize("far", [1e9, 1e300])
def test_far_coordinates_take_no_memory(far: float) -> None:
    tracemalloc.start()
    mask = segmented([[0.0, 0.0, far, 0.0, far, far, 0.0, far]], (20, 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.all()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "polygons",
    [
        [],
        [[]],
        [[1, 1, 5, 1]],
        [[1, 1, 5, 1, 5, 5, 1]],
        [[1, 1, 5, 1, 5, float("nan")]],
        [[1, 1, 5, 1, 5, float("inf")]],
        [[1, 1, 5, 1, 5, 10**400]],
        [[1, 1, 5, 1, 5, None]],
        [[1, 1, 5, 1, 5, "5"]],
        [["1", "1", "5", "1", "5", "5"]],
        [[True, False, True, True, False, False]],
        [[[1, 1], [5, 1], [5, 5]]],
        [[1, 1, 5, 1, 5, 5], None],
        [1, 1, 5, 1, 5, 5],
        [{"x": 1}],
        [[1.0] * 200_002],
    ],
    ids=lambda p: str(p)[:40],
)
def test_a_bad_polygon_is_refused_by_name(polygons: object) -> None:
    with pytest.raises(AnnotationError, match=r"a\.png"):
        segmented(polygons, (8, 8))


@pytest.mark.parametrize("segmentation", [None, "polygon", 3, True, (1, 2)])
def test_what_is_no_segmentation_is_refused_by_name(segmentation: object) -> None:
    with pytest.raises(AnnotationError, match=r"a\.png: neither polygons nor a run-length"):
        segmented(segmentation, (8, 8))


MASKS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
    elements=st.integers(0, 1),
    fill=st.integers(0, 1),
)


def runs_of(mask: Mask) -> list[int]:
    """COCO's uncompressed lengths: column by column, from a run of zeros that may be empty."""
    flat = mask.ravel(order="F").tolist()
    lengths = [len(list(group)) for _, group in groupby(flat)]
    return lengths if flat[0] == 0 else [0, *lengths]


def compressed(mask: Mask) -> dict[str, Any]:
    runs = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def size_of(mask: Mask) -> Size:
    return (mask.shape[0], mask.shape[1])


@given(MASKS)
@settings(max_examples=80, deadline=None)
def test_run_lengths_in_both_encodings_give_the_mask_back(mask: Mask) -> None:
    uncompressed = {"size": list(mask.shape), "counts": runs_of(mask)}
    for runs in (uncompressed, compressed(mask)):
        np.testing.assert_array_equal(segmented(runs, size_of(mask)), mask)


@pytest.mark.parametrize("side", [1, 31, 33, 1000, 1100])
def test_long_runs_survive_compression(side: int) -> None:
    mask = np.zeros((side, side), np.uint8)
    mask[:, side // 3 : side // 2 + 1] = 1
    mask[side // 2] = 0
    assert compressed(mask)["size"] == [side, side]
    np.testing.assert_array_equal(segmented(compressed(mask), (side, side)), mask)


@given(MASKS, SIZES)
@settings(max_examples=50, deadline=None)
def test_run_lengths_are_sampled_at_the_pixels_centers(mask: Mask, size: Size) -> None:
    def nearest(index: int, axis: int) -> int:
        return int((index + Fraction(1, 2)) * mask.shape[axis] / size[axis])

    expected = [
        [mask[nearest(i, 0), nearest(j, 1)] for j in range(size[1])] for i in range(size[0])
    ]
    np.testing.assert_array_equal(segmented(compressed(mask), size_of(mask), size), expected)


def test_segmentations_of_both_kinds_are_united() -> None:
    first, second = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    first[1:3, 1:3] = 1
    second[5:7, 4:8] = 1
    polygon = [[4, 5, 8, 5, 8, 7, 4, 7]]
    mask = mask_from_segmentations([compressed(first), polygon], (8, 8), (8, 8), where="a.png")
    np.testing.assert_array_equal(mask, first | second)
    assert not mask_from_segmentations([], (8, 8), (8, 8), where="a.png").any()


FAR_TOO_LONG = 9 * 10**4299


@pytest.mark.parametrize(
    "counts",
    [
        None,
        64,
        [],
        "",
        [63],
        [65],
        [-1, 65],
        [60, -4, 8],
        [2**70, 64 - 2**70],
        [10**12],
        [FAR_TOO_LONG, FAR_TOO_LONG],
        [32.0, 32.0],
        [True, 63],
        ["64"],
        [None],
        {"0": 64},
        "02",
        "P2P",
        "\x00",
        "0\u00e9",
        "ooooooo0",
        "PR" + "P" * 10 + "0",  # 64, but with more characters than a length has
        "o" * 100_000,
    ],
    ids=lambda c: str(c)[:30] if not isinstance(c, list) or FAR_TOO_LONG not in c else "endless",
)
def test_bad_run_lengths_are_refused_by_name(counts: object) -> None:
    with pytest.raises(AnnotationError, match=r"a\.png"):
        segmented({"size": [8, 8], "counts": counts}, (8, 8))


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_string_is_a_mask_or_an_annotation_error(counts: str) -> None:
    with contextlib.suppress(AnnotationError):
        mask = segmented({"size": [8, 8], "counts": counts}, (8, 8))
        assert set(np.unique(mask)) <= {0, 1}
        reference = decoded({"size": [8, 8], "counts": counts.encode()})
        np.testing.assert_array_equal(mask, reference)


def test_every_cut_of_a_string_is_refused() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (40, 40), np.uint8)
    counts = compressed(mask)["counts"]
    for end in range(0, len(counts), 7):
        with pytest.raises(AnnotationError):
            segmented({"size": [40, 40], "counts": counts[:end]}, (40, 40))


@pytest.mark.parametrize(
    "size", [None, [], [8], [8, 9], [9, 8], [8, 8, 1], "8x8", ["8", "8"], {"h": 8}, [-8, -8]]
)
def test_run_lengths_of_another_size_than_the_image_are_refused(size: object) -> None:
    with pytest.raises(AnnotationError, match=r"a\.png.*size \[8, 8\]"):
        segmented({"size": size, "counts": [64]}, (8, 8))


@pytest.mark.parametrize(
    ("original", "counts"),
    [((10**6, 10**6), [10**12]), ((8, 8), [0, 10**12]), ((8, 8), [10**12] * 1000)],
)
def test_run_lengths_that_ask_for_much_memory_are_refused_before_it_is_taken(
    original: Size, counts: list[int]
) -> None:
    runs = {"size": list(original), "counts": counts}
    tracemalloc.start()
    with pytest.raises(AnnotationError):
        segmented(runs, original, (8, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def characters(lengths: list[int]) -> str:
    """COCO's string of run lengths, as `rleToString` in the maskApi.c of pycocotools writes it."""
    text = ""
    for index, length in enumerate(lengths):
        rest = length - (lengths[index - 2] if index > 2 else 0)
        more = True
        while more:
            code, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if code & 0x10 else 0)
            text += chr(48 + (code | 0x20 if more else code))
    return text


def test_a_negative_run_length_is_refused_even_if_the_sum_is_right() -> None:
    runs = {"size": [8, 8], "counts": characters([10, 20, 34])}
    np.testing.assert_array_equal(
        segmented(runs, (8, 8)), segmented({"size": [8, 8], "counts": [10, 20, 34]}, (8, 8))
    )
    for lengths in ([66, -4, 2], [70, 4, -10], [-6, 70]):
        with pytest.raises(AnnotationError, match="the run lengths do not add up to 64 pixels"):
            segmented({"size": [8, 8], "counts": characters(lengths)}, (8, 8))


def test_a_length_has_at_most_seven_characters() -> None:
    """Seven hold 35 bits, more than any mask needs; a longer shift would overflow."""
    for number, words in ((7, "add up"), (8, "not a COCO run-length string")):
        counts = "o" * (number - 1) + "0"
        with pytest.raises(AnnotationError, match=words):
            segmented({"size": [8, 8], "counts": counts}, (8, 8))


def test_how_far_a_polygon_reaches_is_measured_against_its_own_side() -> None:
    inside = [0.0, 0.0, 20.0, 0.0, 20.0, 10.0]
    assert pixels_outside([[inside]], original=(10, 20)) == 0.0
    assert pixels_outside([[inside]], original=(20, 10)) == 10.0
    assert pixels_outside([[[0.0, 0.0, 20.0, 0.0, 20.0, 13.0]]], original=(10, 20)) == 3.0
    assert pixels_outside([[inside, [-2.5, 1.0, 3.0, 1.0, 3.0, 2.0]]], original=(10, 20)) == 2.5


def test_a_polygon_may_reach_eight_times_beyond_the_image_without_a_bend() -> None:
    for far in (2.0, 7.9):
        triangle = [0.0, 0.0, 8 * far, 0.0, 0.0, 8 * far]
        assert segmented([triangle], (8, 8)).all()
        mirrored = [8.0, 8.0, 8 - 8 * far, 8.0, 8.0, 8 - 8 * far]
        assert segmented([mirrored], (8, 8)).all()
