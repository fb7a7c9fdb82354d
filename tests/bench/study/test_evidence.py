"""Verdicts never say more than an interval allows; Wilcoxon's test is scipy's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import wilcoxon

from bench.study.evidence import (
    compare_networks,
    judge,
    judge_baselines,
    judge_spread,
    judge_transfer,
)
from runtime.data.samples import Sample
from runtime.metrics import STUDY_METRICS, scores
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import MetricDifference
from runtime.scoring.evaluation import Evaluation, score
from runtime.scoring.intervals import Interval

COUNT = 40
SIZE = (8, 8)
SAMPLES = tuple(Sample(Path(f"{i}.png"), f"{i}.png", 8, 8, ()) for i in range(COUNT))
MASK = np.zeros(SIZE, np.uint8)
MASK[2:5, 2:6] = 1


def evaluation(name: str, seed: int, good: float, spread: float = 0.05) -> Evaluation:
    """Score maps that have about the probability `good` in the mask and its rest elsewhere."""
    rng = np.random.default_rng(seed)
    inside = np.clip(rng.normal(good, spread, COUNT), 0.01, 0.99)
    maps = [np.where(MASK, p, 0.3 * (1.0 - p)).astype(np.float32) for p in inside]
    return score(name, SIZE, SAMPLES, [(m, MASK) for m in maps])


def trainings(name: str, seed: int, good: float) -> list[Evaluation]:
    """Three trainings that give the same."""
    return [evaluation(name, seed, good)] * 3


def difference(low: float, high: float) -> MetricDifference:
    interval = Interval((low + high) / 2, low, high)
    return MetricDifference("iou", "per image", 0.0, 0.0, interval, COUNT, COUNT)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_verdict_needs_the_whole_interval_on_one_side(one: float, other: float) -> None:
    low, high = sorted((one, other))
    verdict = judge(difference(low, high), difference(low, high))
    assert (verdict == "supported") == (low > 0)
    assert (verdict == "not supported") == (high < 0)
    assert (verdict == "undecided") == (low <= 0 <= high)


def test_two_readings_that_disagree_decide_nothing() -> None:
    above, below, open_ = difference(0.1, 0.2), difference(-0.2, -0.1), difference(-0.1, 0.1)
    assert judge(above, above) == "supported"
    assert judge(below, below) == "not supported"
    for pair in ((above, below), (above, open_), (open_, below)):
        assert judge(*pair) == "undecided"


def test_an_undefined_interval_decides_nothing() -> None:
    assert judge(difference(float("nan"), float("nan"))) == "undecided"


@pytest.mark.parametrize(
    "groups",
    [list(range(COUNT)), [i // 4 for i in range(COUNT)], [int(i**0.75) for i in range(COUNT)]],
    ids=["each its own", "of four", "of one to three"],
)
def test_the_rank_test_is_scipy_s_on_the_groups_means(groups: list[int]) -> None:
    one, other = evaluation("a", 0, 0.6), evaluation("b", 1, 0.63)
    evidence = compare_networks([one], [other], groups, Bootstrap(COUNT, groups, resamples=200))
    raw = []
    for test in evidence.tests:
        pairs = zip(one.samples, other.samples, strict=True)
        values = np.array(
            [getattr(scores(b.soft), test.metric) - getattr(scores(a.soft), test.metric)
             for a, b in pairs]
        )  # fmt: skip
        means = [values[np.equal(groups, group)].mean() for group in dict.fromkeys(groups)]
        expected = wilcoxon(means)
        assert test.units == len(means)
        assert test.statistic == pytest.approx(expected.statistic)
        assert test.p_value == pytest.approx(expected.pvalue)
        raw.append(test.p_value)
    assert [test.metric for test in evidence.tests] == list(STUDY_METRICS)
    assert min(t.p_holm for t in evidence.tests) == pytest.approx(min(1.0, 4 * min(raw)))
    assert all(test.p_holm >= test.p_value for test in evidence.tests)


def test_networks_that_never_differ_have_no_rank() -> None:
    one = evaluation("a", 0, 0.6)
    evidence = compare_networks([one], [one], range(COUNT), Bootstrap(COUNT, resamples=50))
    assert all(np.isnan(test.p_value) and np.isnan(test.p_holm) for test in evidence.tests)
    assert {test.withheld for test in evidence.tests} == {"no group differs"}
    assert judge_transfer(evidence).verdict == "undecided"


@pytest.mark.parametrize("count", [5, 6])
def test_a_rank_test_that_can_never_be_significant_is_withheld(count: int) -> None:
    """With five groups of one sign, scipy's p-value is 0.0625: the smallest there is."""
    groups = [min(i, count - 1) for i in range(COUNT)]
    one, other = evaluation("a", 0, 0.3, 0.01), evaluation("b", 1, 0.9, 0.01)
    evidence = compare_networks([one], [other], groups, Bootstrap(COUNT, groups, resamples=50))
    smallest = wilcoxon(np.arange(1.0, count + 1.0)).pvalue
    for test in evidence.tests:
        assert test.units == count
        if smallest > 0.05:
            assert (
                test.withheld == f"5 groups differ, and the smallest possible p-value is {smallest}"
            )
            assert np.isnan([test.statistic, test.p_value, test.p_holm]).all()
        else:
            assert test.withheld is None
            assert test.p_value == pytest.approx(smallest)


def test_a_hypothesis_on_too_few_groups_is_undecided_and_says_why() -> None:
    groups = [i // 8 for i in range(COUNT)]
    bootstrap = Bootstrap(COUNT, groups, resamples=50)
    one, other = evaluation("scratch", 0, 0.3), evaluation("resnet50", 1, 0.9)
    evidence = compare_networks([one], [other], groups, bootstrap)
    hypotheses = [
        judge_transfer(evidence),
        judge_spread(evidence),
        judge_baselines([[one], [other]], [evaluation("baseline", 2, 0.1)], bootstrap),
    ]
    for hypothesis in hypotheses:
        assert hypothesis.verdict == "undecided"
        assert "40 images in 5 groups are too few for an interval" in hypothesis.reason


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.3, 0.8, "supported"),
        (0.8, 0.3, "not supported"),
        (0.6, 0.601, "undecided"),
        (0.7, 0.9, "undecided"),  # more certain, and the same at 0.5
    ],
)
def test_transfer_learning_is_judged_by_iou_soft_and_at_half(
    first: float, second: float, expected: str
) -> None:
    evidence = compare_networks(
        trainings("scratch", 0, first), trainings("resnet50", 1, second), range(COUNT),
        Bootstrap(COUNT, resamples=500),
    )  # fmt: skip
    hypothesis = judge_transfer(evidence)
    assert hypothesis.verdict == expected
    for kind in ("per image", "per image at 0.5"):
        found = evidence.comparison.find("iou", kind).difference
        for number in (found.value, found.low, found.high):
            assert f"{number:+.3f}" in hypothesis.reason


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0.15, 0.02, "supported"), (0.02, 0.15, "not supported"), (0.05, 0.05, "undecided")],
)
def test_narrowness_is_judged_by_the_standard_deviation(
    first: float, second: float, expected: str
) -> None:
    one, other = evaluation("scratch", 0, 0.6, first), evaluation("resnet50", 1, 0.6, second)
    evidence = compare_networks(
        [one] * 3, [other] * 3, range(COUNT), Bootstrap(COUNT, resamples=500)
    )
    assert judge_spread(evidence).verdict == expected


@pytest.mark.parametrize(
    ("levels", "baselines", "expected"),
    [
        ((0.7, 0.8), (0.1, 0.3), "supported"),
        ((0.2, 0.8), (0.1, 0.9), "not supported"),
        ((0.7, 0.3), (0.1, 0.3), "undecided"),
        ((0.7, 0.8), (0.1, 0.95), "undecided"),  # a certain baseline, and the same at 0.5
    ],
)
def test_networks_are_judged_by_the_best_baseline(
    levels: tuple[float, float], baselines: tuple[float, float], expected: str
) -> None:
    networks = [trainings("scratch", 0, levels[0]), trainings("resnet50", 1, levels[1])]
    known = [evaluation(f"baseline {level}", 5, level) for level in baselines]
    hypothesis = judge_baselines(networks, known, Bootstrap(COUNT, resamples=500))
    assert hypothesis.verdict == expected
    assert f"baseline {baselines[1]}" in hypothesis.reason


@pytest.mark.parametrize(("count", "shown"), [(1, "one training"), (2, "two trainings")])
def test_fewer_than_three_trainings_decide_nothing_however_clear_they_are(
    count: int, shown: str
) -> None:
    one, other = [evaluation("scratch", 0, 0.3)] * count, [evaluation("resnet50", 1, 0.9)] * count
    bootstrap = Bootstrap(COUNT, resamples=200)
    evidence = compare_networks(one, other, range(COUNT), bootstrap)
    assert judge(evidence.comparison.find("iou")) == "supported"
    hypotheses = [
        judge_transfer(evidence),
        judge_spread(evidence),
        judge_baselines([one, other], [evaluation("baseline", 2, 0.01)], bootstrap),
    ]
    for hypothesis in hypotheses:
        assert (hypothesis.verdict, hypothesis.shown) == ("undecided", f"undecided: {shown}")


def test_trainings_that_differ_widen_the_interval_until_it_decides_nothing() -> None:
    one = [evaluation("scratch", 0, 0.5)] * 3
    bootstrap = Bootstrap(COUNT, resamples=2000)
    steady = [evaluation("resnet50", 1, good) for good in (0.79, 0.8, 0.81)]
    unsteady = [evaluation("resnet50", 1, good) for good in (0.52, 0.98, 0.9)]
    evidence = [
        compare_networks(one, other, range(COUNT), bootstrap) for other in (steady, unsteady)
    ]
    assert [judge_transfer(each).verdict for each in evidence] == ["supported", "undecided"]
    for each, trained in zip(evidence, (steady, unsteady), strict=True):
        found = each.comparison.find("iou")
        by_hand = [
            e.soft.per_image["iou"].mean - one[0].soft.per_image["iou"].mean for e in trained
        ]
        assert found.by_training == pytest.approx(by_hand)
        assert found.difference.value == pytest.approx(np.mean(by_hand))
        assert found.candidate - found.reference == pytest.approx(found.difference.value)


def test_the_rank_test_ranks_the_means_over_trainings() -> None:
    one = [evaluation("a", seed, 0.6) for seed in (0, 1, 2)]
    other = [evaluation("b", seed, 0.63) for seed in (3, 4, 5)]
    evidence = compare_networks(one, other, range(COUNT), Bootstrap(COUNT, resamples=50))
    means = [
        np.mean([[scores(s.soft).iou for s in each.samples] for each in network], axis=0)
        for network in (one, other)
    ]
    (test,) = (test for test in evidence.tests if test.metric == "iou")
    assert test.p_value == pytest.approx(wilcoxon(means[1] - means[0]).pvalue)
