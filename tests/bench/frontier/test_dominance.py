"""Dominance against its definition on whole arrays, and recommendations against every file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bench.frontier.budget import Budget, recommend
from bench.frontier.differences import iou_differences
from bench.frontier.dominance import Point, dominates, find_standings, stand
from bench.measure.accuracy import Accuracy
from bench.measure.result import BenchResult, ModelResult
from bench.measure.sampling import Latency, LatencyRatio, StoppingRule
from bench.medians import Verdict
from runtime.core.machine import Machine
from runtime.data.samples import Sample
from runtime.scoring.comparison import Bootstrap, Interval, compare, soft_values
from runtime.scoring.evaluation import Evaluation, score

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
    standings = stand(points, verdicts_of(points), {})
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
    pairs = list(verdicts_of(points))
    verdicts = {pair: data.draw(any_verdict) for pair in pairs}
    end = st.floats(-1.0, 1.0)
    known = data.draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    differences = {pair: Interval(0.0, *sorted((data.draw(end), data.draw(end)))) for pair in known}
    for one in points:
        assert not dominates(one, one, verdicts, differences)
        for other in points:
            either = dominates(one, other, verdicts, differences)
            assert not (either and dominates(other, one, verdicts, differences))


def test_what_cannot_be_told_apart_counts_as_equal() -> None:
    one = Point("one", 0.5, 10.0, 100.0, 5.0, 5.0)
    other = replace(one, name="other", latency_ms=11.0, memory_bytes=104.0)
    assert not dominates(one, other, {("one", "other"): "not ranked"}, {})
    assert dominates(one, other, {("one", "other"): "faster"}, {})
    assert dominates(one, other, {("other", "one"): "slower"}, {})
    assert dominates(one, replace(other, memory_bytes=106.0), {}, {})


def test_a_higher_iou_only_counts_where_the_paired_difference_tells() -> None:
    one = Point("one", 0.5, 10.0, 100.0, 5.0, 5.0)
    other = replace(one, name="other", iou=0.49)
    assert dominates(one, other, {}, {})
    for low, high, dominated in ((-0.01, 0.03, False), (0.0, 0.02, False), (0.005, 0.015, True)):
        difference = {("one", "other"): Interval(0.01, low, high)}
        assert dominates(one, other, {}, difference) is dominated
        mirrored = {("other", "one"): Interval(-0.01, -high, -low)}
        assert dominates(one, other, {}, mirrored) is dominated
    # Cheaper in all, and of an IoU that cannot be told from a higher one.
    cheap = replace(other, name="cheap", macs=4.0)
    assert dominates(cheap, one, {}, {("one", "cheap"): Interval(0.01, -0.01, 0.03)})
    assert not dominates(cheap, one, {}, {})


def scored(path: str, each: list[float], groups: tuple[int, ...] = ()) -> ModelResult:
    mean = float(np.nanmean(each))
    accuracy = Accuracy(
        "d", "test", "boxes", (8, 8), len(each), len(set(groups)) or len(each),
        1.0, 1.0, 1.0, mean, 0.0, 1.0, mean, mean, tuple(each), groups,
    )  # fmt: skip
    return ModelResult(path=path, accuracy=accuracy)


IMAGES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=2, max_size=12)


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
        assert getattr(found, end) == pytest.approx(getattr(expected, end), abs=1e-12)


def test_only_files_scored_on_the_same_images_are_paired() -> None:
    one, other = scored("one", [0.5, 0.25, np.nan]), scored("other", [0.25, 0.25, 0.5])
    found = iou_differences([one, other])["one", "other"]
    assert found.value == pytest.approx(0.125)
    unscored = replace(other, path="unscored", accuracy=None)
    fewer = scored("fewer", [0.5, 0.25])
    grouped = scored("grouped", [0.5, 0.25, 0.5], (0, 0, 1))
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
    assert best.path == "1"
    assert best.reason == "the highest soft IoU, 0.600, of the 2 that fit (p90 of at most 6 ms)"
    fastest = recommend(result, Budget(min_iou=0.6))
    assert fastest.path == "1"
    assert fastest.reason == (
        "the fastest, of the 2 that fit (soft IoU of at least 0.6), though this run cannot tell it "
        "from 2"
    )
    none = recommend(result, Budget(max_latency_ms=3, min_iou=0.9))
    assert none.path is None
    assert "the lowest p90 is 4 ms, asked for is 3 ms" in none.reason
    assert "the highest soft IoU is 0.7, asked for is 0.9" in none.reason


@pytest.mark.parametrize(("shift", "path"), [(0.0, "0"), (0.5, "1")])
def test_of_files_that_images_cannot_tell_apart_the_fastest_is_recommended(
    shift: float, path: str
) -> None:
    """The slower file scores higher, on every image alike or on a bare majority of them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.1, 40)
    result = result_of([(5, 4, 3), (6, 5, 3)])
    scores = (0.3 + 0.0 * noise, 0.3 + 0.005 + shift + noise - noise.mean())
    rows = tuple(
        replace(row, accuracy=replace(row.accuracy, iou=each.mean(), per_image_iou=tuple(each)))
        for row, each in zip(result.models, scores, strict=True)
        if row.accuracy is not None
    )
    found = recommend(replace(result, models=rows), Budget(max_latency_ms=9))
    assert found.path == path
    assert ("cannot tell from the highest" in found.reason) == (path == "0")


def test_a_file_without_a_figure_is_not_compared() -> None:
    result = result_of([(5, 4, 3), (None, 1, 1), (6, None, 1), (6, 3, None)])
    assert set(find_standings(result)) == {"0"}
