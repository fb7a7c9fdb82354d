"""The ranking: sorted by the mean over images, with differences to the first paired by image."""

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from bench.study.ranking import Ranked, Score, rank, ranking_sentence
from bench.study.result import Exported, NetworkResult, NetworkRun, SplitResult
from runtime.data.samples import Sample
from runtime.metrics import scores
from runtime.model.timing import PredictionLatency
from runtime.scoring.evaluation import Evaluation, score
from runtime.scoring.intervals import Interval

COUNT = 24
SIZE = (4, 4)
SAMPLES = tuple(Sample(Path(f"{i}.png"), f"{i}.png", 4, 4, ()) for i in range(COUNT))
FOREGROUND = np.zeros(SIZE, np.uint8)
FOREGROUND[1:3, 1:3] = 1
EMPTY = np.zeros(SIZE, np.uint8)


def evaluation(name: str, inside: list[float], empty: int = 0) -> Evaluation:
    """Score maps with these probabilities in the mask; the first `empty` images have none."""
    masks = [EMPTY if index < empty else FOREGROUND for index in range(COUNT)]
    maps = [np.where(FOREGROUND, p, 0.0).astype(np.float32) for p in inside]
    return score(name, SIZE, SAMPLES, zip(maps, masks, strict=True))


def split(networks: list[Evaluation], baselines: list[Evaluation]) -> SplitResult:
    return split_of_trainings([[network] for network in networks], baselines)


def split_of_trainings(
    networks: list[list[Evaluation]], baselines: list[Evaluation]
) -> SplitResult:
    results = [
        NetworkResult(
            trainings[0].name,
            tuple(
                NetworkRun(seed, None, cast(Exported, None), evaluation)
                for seed, evaluation in enumerate(trainings)
            ),
            {},
            cast(PredictionLatency, None),
        )
        for trainings in networks
    ]
    groups = tuple(range(COUNT))
    return SplitResult("original", "", {}, groups, tuple(results), tuple(baselines), (), (), ())


def noisy(seed: int, level: float) -> list[float]:
    return list(np.random.default_rng(seed).uniform(level - 0.02, level + 0.02, COUNT))


def test_networks_and_baselines_are_sorted_by_their_mean_soft_iou() -> None:
    networks = [evaluation("low", noisy(0, 0.3)), evaluation("high", noisy(1, 0.9))]
    ranked = rank(split(networks, [evaluation("mean mask", noisy(2, 0.6))]))
    assert [(row.rank, row.title) for row in ranked] == [
        (1, "high"),
        (2, "baseline: mean mask"),
        (3, "low"),
    ]
    assert ranked[0].behind is None
    assert ranking_sentence(ranked) == (
        f"high has the highest soft IoU, {ranked[0].iou.mean.value:.3f}, "
        "significantly above all others."
    )


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.1, 1.0), min_size=COUNT, max_size=COUNT), min_size=2, max_size=4)
)
def test_differences_are_means_of_the_images_own(values: list[list[float]]) -> None:
    evaluations = [evaluation(str(number), inside) for number, inside in enumerate(values)]
    ious = {e.name: np.array([scores(s.soft).iou for s in e.samples]) for e in evaluations}
    ranked = rank(split(evaluations, []))
    first = ious[ranked[0].name]
    assert first.mean() == max(iou.mean() for iou in ious.values())
    means = [row.iou.mean.value for row in ranked]
    assert means == sorted(means, reverse=True)
    for row in ranked[1:]:
        assert row.behind is not None
        assert row.behind.value == pytest.approx((ious[row.name] - first).mean(), abs=1e-12)
        assert row.behind.low <= row.behind.value <= row.behind.high
        assert row.images == COUNT


def test_trainings_count_equally_and_are_paired_by_seed() -> None:
    levels = {"one": (0.5, 0.6, 0.7), "two": (0.4, 0.5, 0.9)}
    trainings = [
        [evaluation(name, noisy(seed, level)) for seed, level in enumerate(each)]
        for name, each in levels.items()
    ]
    baseline = evaluation("mean mask", noisy(3, 0.3))
    ranked = rank(split_of_trainings(trainings, [baseline]))
    ious = {
        each[0].name: np.array([[scores(s.soft).iou for s in e.samples] for e in each])
        for each in trainings
    }
    by_name = {row.name: row for row in ranked}
    assert [len(row.iou.by_training) for row in ranked] == [3, 3, 1]
    for name, values in ious.items():
        assert by_name[name].iou.by_training == pytest.approx(values.mean(axis=1))
        assert by_name[name].iou.mean.value == pytest.approx(values.mean())
    first, second = ranked[0].name, ranked[1].name
    behind = by_name[second].behind
    assert behind is not None
    assert behind.value == pytest.approx((ious[second] - ious[first]).mean())
    # One is ahead by 0.1 twice and behind by 0.2 once, so another training may change the order.
    assert not behind.excludes_zero
    assert by_name["mean mask"].behind is not None
    assert by_name["mean mask"].behind.excludes_zero


def test_images_without_foreground_are_behind_no_difference() -> None:
    one, two = evaluation("one", noisy(0, 0.9), empty=5), evaluation("two", noisy(1, 0.5), empty=5)
    ranked = rank(split([one, two], []))
    assert [row.images for row in ranked] == [COUNT - 5] * 2


def test_a_difference_without_an_interval_has_no_value_either() -> None:
    few = COUNT - 9  # nine images with foreground, where ten are needed
    one, two = evaluation("one", noisy(0, 0.9), few), evaluation("two", noisy(1, 0.5), few)
    second = rank(split([one, two], []))[1]
    assert second.behind is not None
    assert math.isnan(second.behind.value)
    assert second.iou.mean.value == pytest.approx(0.5, abs=0.05)


def test_an_evaluation_without_any_foreground_comes_last() -> None:
    empty, full = evaluation("empty", noisy(0, 0.9), COUNT), evaluation("full", noisy(1, 0.2))
    assert [row.name for row in rank(split([empty, full], []))] == ["full", "empty"]


def test_the_sentence_names_all_that_may_be_as_good() -> None:
    def row(place: int, name: str, low: float, high: float) -> Ranked:
        behind = Interval((low + high) / 2, low, high) if place > 1 else None
        half = Score(Interval(0.5, 0.4, 0.6), (0.5,))
        return Ranked(place, name, False, half, half, behind, COUNT)

    first, tied, below = row(1, "a", 0, 0), row(2, "b", -0.2, 0.1), row(3, "c", -0.3, -0.1)
    start = "a has the highest soft IoU, 0.500"
    assert ranking_sentence((first,)) == f"{start}."
    assert ranking_sentence((first, below)) == f"{start}, significantly above all others."
    assert ranking_sentence((first, tied, below)) == f"{start}; not significantly below it: b."
