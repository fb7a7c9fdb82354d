"""Dominance against its definition on whole arrays, and recommendations against every file."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.frontier.budget import Budget, recommend
from bench.frontier.dominance import Point, dominates, find_standings, stand
from bench.measure.accuracy import Accuracy
from bench.measure.result import BenchResult, ModelResult
from bench.measure.sampling import Latency, LatencyRatio, StoppingRule
from bench.medians import Verdict
from runtime.machine import Machine

# Few values, so that ties are frequent; memory in steps beyond what counts as equal.
LEVEL = st.integers(1, 3)
FIGURES = st.lists(st.tuples(*[LEVEL] * 5), min_size=1, max_size=8)


def points_of(figures: list[tuple[int, ...]]) -> list[Point]:
    return [
        Point(str(i), iou / 10, latency * 10.0, 1.2**memory, macs, size)
        for i, (iou, latency, memory, macs, size) in enumerate(figures)
    ]


def verdicts_of(points: list[Point]) -> dict[tuple[str, str], Verdict]:
    """Of a run without noise, each pair in one order alone."""
    found: dict[tuple[str, str], Verdict] = {}
    for i, one in enumerate(points):
        for other in points[i + 1 :]:
            difference = np.sign(one.latency_ms - other.latency_ms)
            found[one.name, other.name] = {-1: "faster", 0: "not ranked", 1: "slower"}[difference]  # type: ignore[assignment]
    return found


@given(FIGURES)
def test_dominated_is_what_another_point_is_nowhere_worse_than_and_somewhere_better(
    figures: list[tuple[int, ...]],
) -> None:
    points = points_of(figures)
    standings = stand(points, verdicts_of(points))
    table = np.array(figures) * (1, -1, -1, -1, -1)
    for row, standing in zip(table, standings, strict=True):
        better = (table >= row).all(axis=1) & (table > row).any(axis=1)
        assert standing.dominated_by == tuple(str(i) for i in np.flatnonzero(better))
    assert any(not standing.dominated_by for standing in standings)


@given(FIGURES, st.data())
def test_no_two_points_dominate_each_other_whatever_the_verdicts(
    figures: list[tuple[int, ...]], data: st.DataObject
) -> None:
    points = points_of(figures)
    any_verdict: st.SearchStrategy[Verdict] = st.sampled_from(["faster", "slower", "not ranked"])
    verdicts = {pair: data.draw(any_verdict) for pair in verdicts_of(points)}
    for one in points:
        assert not dominates(one, one, verdicts)
        for other in points:
            assert not (dominates(one, other, verdicts) and dominates(other, one, verdicts))


def test_what_cannot_be_told_apart_counts_as_equal() -> None:
    one = Point("one", 0.5, 10.0, 100.0, 5.0, 5.0)
    other = replace(one, name="other", latency_ms=11.0, memory_bytes=104.0)
    assert not dominates(one, other, {("one", "other"): "not ranked"})
    assert dominates(one, other, {("one", "other"): "faster"})
    assert dominates(one, other, {("other", "one"): "slower"})
    assert dominates(one, replace(other, memory_bytes=106.0), {})


MODELS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.integers(1, 9)),
    ),
    max_size=8,
)
LIMIT = st.one_of(st.none(), st.integers(0, 10))


def result_of(
    models: list[tuple[int | None, int | None, int | None]], verdict: Verdict = "not ranked"
) -> BenchResult:
    """Models of IoU in tenths, latency in ms and memory in MB, each known or not."""
    rows = []
    for i, (iou, latency, memory) in enumerate(models):
        score = iou and iou / 10
        rows.append(
            ModelResult(
                path=str(i),
                macs=1,
                file_bytes=1,
                latency_ms=Latency(latency, latency, latency, latency, 9, latency, latency)
                if latency
                else None,
                memory_bytes={"peak": memory * 10**6} if memory else None,
                accuracy=Accuracy(
                    "d",
                    "test",
                    "boxes",
                    (8, 8),
                    1,
                    1,
                    1.0,
                    1.0,
                    1.0,
                    score,
                    score,
                    score,
                    score,
                    score,
                )
                if score
                else None,
            )
        )
    machine = Machine("s", "p", (), 1, 0, {})
    pairs = tuple(
        LatencyRatio(rows[i].path, rows[j].path, 1.0, 0.9, 1.1, 9, verdict)
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
    )
    return BenchResult(machine, tuple(rows), "", 1, StoppingRule(), None, True, pairs)


@given(MODELS, LIMIT, LIMIT, LIMIT)
def test_what_is_recommended_fits_and_nothing_that_fits_is_better(
    models: list[tuple[int | None, int | None, int | None]],
    latency: int | None,
    memory: int | None,
    iou: int | None,
) -> None:
    budget = Budget(latency, memory, None if iou is None else iou / 10)
    found = recommend(result_of(models), budget)
    fitting = {
        str(i): model
        for i, model in enumerate(models)
        if (iou is None or (model[0] is not None and model[0] >= iou))
        and (latency is None or (model[1] is not None and model[1] <= latency))
        and (memory is None or (model[2] is not None and model[2] <= memory))
    }
    assert found.reason
    if found.path is None:
        assert not any(model[1] for model in fitting.values()) or not fitting
        return
    chosen = fitting[found.path]
    if latency is None and memory is None:
        assert chosen[1] == min(model[1] for model in fitting.values() if model[1])
    elif any(model[0] for model in fitting.values()):
        assert chosen[0] == max(model[0] for model in fitting.values() if model[0])


def test_a_reason_says_what_was_decided_by_and_what_is_unsure() -> None:
    result = result_of([(5, 4, 3), (6, 5, 3), (7, 9, 3)])
    best = recommend(result, Budget(max_latency_ms=6))
    assert (best.path, best.reason) == ("1", "the highest soft IoU, 0.600, of the 2 that fit")
    fastest = recommend(result, Budget(min_iou=0.6))
    assert fastest.path == "1"
    assert fastest.reason == "the fastest, of the 2 that fit, though this run cannot tell it from 2"
    none = recommend(result, Budget(max_latency_ms=3, min_iou=0.9))
    assert none.path is None
    assert "the lowest p90 is 4 ms, asked for is 3 ms" in none.reason
    assert "the highest soft IoU is 0.7, asked for is 0.9" in none.reason


def test_a_file_without_a_figure_is_not_compared() -> None:
    result = result_of([(5, 4, 3), (None, 1, 1), (6, None, 1), (6, 3, None)])
    assert set(find_standings(result)) == {"0"}
