"""Paired differences in soft IoU against those of whole evaluations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from bench.frontier.differences import iou_differences
from bench.measure.accuracy import Accuracy
from bench.measure.result import ModelResult
from runtime.data.samples import Sample
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import compare, soft_values
from runtime.scoring.evaluation import Evaluation, score


def scored(path: str, each: list[float], groups: tuple[int, ...] = ()) -> ModelResult:
    mean = float(np.nanmean(each))
    accuracy = Accuracy(
        "d",
        "test",
        "boxes",
        (8, 8),
        len(each),
        len(set(groups)) or len(each),
        1.0,
        1.0,
        1.0,
        mean,
        0.0,
        1.0,
        mean,
        mean,
        tuple(each),
        groups,
    )
    return ModelResult(path=path, accuracy=accuracy)


IMAGES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=8, max_size=24)


@settings(deadline=None, max_examples=20)  # each with four bootstraps
@given(IMAGES, st.booleans())
def test_the_difference_of_two_files_is_that_of_their_evaluations(
    images: list[tuple[int, int]], grouped: bool
) -> None:
    def evaluation(overlaps: list[int]) -> Evaluation:
        outcomes = []
        for overlap in overlaps:
            mask = np.zeros((1, 20), np.uint8)
            mask[0, :9] = 1
            outcomes.append((np.where(np.arange(20) < overlap, 1.0, 0.0)[None], mask))
        samples = tuple(Sample(Path(str(i)), str(i), 20, 1, (), None) for i in range(len(overlaps)))
        return score("file", (1, 20), samples, outcomes)

    one, other = (evaluation([pair[i] for pair in images]) for i in (0, 1))
    groups = tuple(i // 2 for i in range(len(images))) if grouped else ()
    bootstrap = Bootstrap(len(images), groups or None)
    expected = compare(other, one, bootstrap).find("iou").difference
    rows = [
        scored(name, soft_values(e, "iou").tolist(), groups)
        for name, e in (("one", one), ("other", other))
    ]
    ((pair, found),) = iou_differences(rows).items()
    assert pair == ("one", "other")
    for end in ("value", "low", "high"):
        assert getattr(found, end) == pytest.approx(getattr(expected, end), abs=1e-12, nan_ok=True)


def test_only_files_scored_on_the_same_images_are_paired() -> None:
    one = scored("one", [0.5, 0.25, np.nan] * 6)
    other = scored("other", [0.25, 0.25, 0.5] * 6)
    found = iou_differences([one, other])["one", "other"]
    assert found.value == pytest.approx(0.125)
    unscored = replace(other, path="unscored", accuracy=None)
    fewer = scored("fewer", [0.5, 0.25] * 6)
    grouped = scored("grouped", [0.5, 0.25, 0.5] * 6, tuple(i // 2 for i in range(18)))
    assert other.accuracy is not None
    others = [
        replace(other, path=str(number), accuracy=accuracy)
        for number, accuracy in enumerate(
            (
                replace(other.accuracy, data="e"),
                replace(other.accuracy, split="valid"),
                replace(other.accuracy, masks="segmentation"),
            )
        )
    ]
    unknown = replace(other, path="unknown", accuracy=replace(other.accuracy, per_image_iou=()))
    rows = [one, unscored, fewer, grouped, unknown, *others]
    assert iou_differences(rows) == {}
