"""Claims on the scores of test images."""

from typing import get_args

import pytest

from bench.study.claims.score_claims import score_claims
from bench.study.evidence import Evidence
from runtime.metrics import METRICS
from runtime.scoring.comparison import Comparison, MetricDifference, Summary
from runtime.scoring.intervals import Interval


def evidence(sign: float, *, trainings: int) -> Evidence:
    low, high = sorted((sign * 0.05, sign * 0.15))
    interval, each = Interval(sign * 0.1, low, high), (sign * 0.1,) * trainings
    differences = tuple(
        MetricDifference(metric, kind, 0.5, 0.5, interval, 40, 40, each)
        for metric in METRICS
        for kind in get_args(Summary)
    )
    return Evidence(Comparison("scratch", "resnet50", 40, 40, 0.95, differences, trainings), ())


@pytest.mark.parametrize(
    ("sign", "trainings", "expected"),
    [(-1, 3, "agrees"), (1, 3, "disagrees"), (-1, 2, "undecided"), (1, 1, "undecided")],
)
def test_scratch_is_better_or_worse_on_the_test_images(
    sign: float, trainings: int, expected: str
) -> None:
    better, narrower = score_claims(evidence(sign, trainings=trainings))
    assert (better.verdict, narrower.verdict) == (expected, expected)
    assert [len(better.measures), len(narrower.measures)] == [4, 2]
