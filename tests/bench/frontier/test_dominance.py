"""Dominance against its definition on whole arrays."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given, strategies as st

from bench.frontier.dominance import ParetoPoint, dominates, dominators, find_dominators
from bench.medians import Verdict
from runtime.scoring.intervals import Interval
from tests.support.bench_results import bench_result

# Few values, so that ties are frequent; memory in steps beyond the tolerance.
LEVEL = st.integers(1, 3)
FIGURES = st.lists(st.tuples(*[LEVEL] * 5), min_size=1, max_size=8)


def points_of(figures: list[tuple[int, ...]]) -> list[ParetoPoint]:
    return [
        ParetoPoint(str(i), iou / 10, latency * 10.0, 1.2**memory, macs, size)
        for i, (iou, latency, memory, macs, size) in enumerate(figures)
    ]


def verdicts_of(points: list[ParetoPoint]) -> dict[tuple[str, str], Verdict]:
    """Return the verdicts of a run without noise, each pair in one order only."""
    found: dict[tuple[str, str], Verdict] = {}
    for first, second in combinations(points, 2):
        difference = np.sign(first.latency_ms - second.latency_ms)
        found[first.name, second.name] = {-1: "faster", 0: "not ranked", 1: "slower"}[difference]  # type: ignore[assignment]
    return found


@given(FIGURES)
def test_dominated_is_what_another_point_is_nowhere_worse_than_and_somewhere_better(
    figures: list[tuple[int, ...]],
) -> None:
    points = points_of(figures)
    found = dominators(points, verdicts_of(points), {})
    table = np.array(figures) * (1, -1, -1, -1, -1)
    for row, names in zip(table, found.values(), strict=True):
        better = (table >= row).all(axis=1) & (table > row).any(axis=1)
        assert names == tuple(str(i) for i in np.flatnonzero(better))
    assert any(not names for names in found.values()), "nothing is on the frontier"


@given(FIGURES, st.data())
def test_no_two_points_dominate_each_other_whatever_the_verdicts(
    figures: list[tuple[int, ...]], data: st.DataObject
) -> None:
    points = points_of(figures)
    any_verdict: st.SearchStrategy[Verdict] = st.sampled_from(["faster", "slower", "not ranked"])
    pairs = list(verdicts_of(points))
    verdicts = {pair: data.draw(any_verdict) for pair in pairs}
    end = st.floats(-1.0, 1.0)
    known = data.draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    ends = {pair: sorted((data.draw(end), data.draw(end))) for pair in known}
    differences = {
        pair: Interval((low + high) / 2.0, low, high) for pair, (low, high) in ends.items()
    }
    for one in points:
        assert not dominates(one, one, verdicts, differences)
        for other in points:
            either = dominates(one, other, verdicts, differences)
            assert not (either and dominates(other, one, verdicts, differences))


def test_differences_that_are_not_significant_are_ties() -> None:
    one = ParetoPoint("one", 0.5, 10.0, 100.0, 5.0, 5.0)
    other = replace(one, name="other", latency_ms=11.0, memory_bytes=104.0)
    assert not dominates(one, other, {("one", "other"): "not ranked"}, {})
    assert dominates(one, other, {("one", "other"): "faster"}, {})
    assert dominates(one, other, {("other", "one"): "slower"}, {})
    assert dominates(one, replace(other, memory_bytes=106.0), {}, {})


def test_a_higher_iou_counts_only_if_the_paired_difference_is_significant() -> None:
    one = ParetoPoint("one", 0.5, 10.0, 100.0, 5.0, 5.0)
    other = replace(one, name="other", iou=0.49)
    assert dominates(one, other, {}, {})
    for low, high, dominated in ((-0.01, 0.03, False), (0.0, 0.02, False), (0.005, 0.015, True)):
        difference = {("one", "other"): Interval(0.01, low, high)}
        assert dominates(one, other, {}, difference) is dominated
        mirrored = {("other", "one"): Interval(-0.01, -high, -low)}
        assert dominates(one, other, {}, mirrored) is dominated
    # Of too few images to tell, a difference is no reason to prefer one.
    withheld = {("one", "other"): Interval(np.nan, np.nan, np.nan, "too few")}
    assert not dominates(one, other, {}, withheld)
    # Cheaper, with an IoU that does not differ significantly from a higher one.
    cheap = replace(other, name="cheap", macs=4.0)
    assert dominates(cheap, one, {}, {("one", "cheap"): Interval(0.01, -0.01, 0.03)})
    assert not dominates(cheap, one, {}, {})


def test_a_file_without_a_figure_is_not_compared() -> None:
    result = bench_result([(5, 4, 3), (None, 1, 1), (6, None, 1), (6, 3, None)])
    assert set(find_dominators(result)) == {"0"}
