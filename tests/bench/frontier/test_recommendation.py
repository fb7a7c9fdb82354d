"""Recommendations against every file of a run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bench.frontier.budget import Budget
from bench.frontier.dominance import find_dominators
from bench.frontier.recommendation import recommend
from tests.support.bench_results import bench_result

MODELS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.integers(1, 9)),
    ),
    max_size=8,
)
LIMIT = st.one_of(st.none(), st.integers(0, 10))


@given(MODELS, LIMIT, LIMIT, LIMIT)
def test_what_is_recommended_fits_and_nothing_that_fits_is_better(
    models: list[tuple[int | None, int | None, int | None]],
    latency: int | None,
    memory: int | None,
    iou: int | None,
) -> None:
    budget = Budget(latency, memory, None if iou is None else iou / 10)
    found = recommend(bench_result(models), budget)
    fitting = {
        str(i): model
        for i, model in enumerate(models)
        if (iou is None or (model[0] is not None and model[0] >= iou))
        and (latency is None or (model[1] is not None and model[1] <= latency))
        and (memory is None or (model[2] is not None and model[2] <= memory))
    }
    assert found.reason
    unscored = [
        str(i)
        for i, model in enumerate(models)
        if model[0] is None
        and model[1] is not None
        and (latency is None or model[1] <= latency)
        and (memory is None or (model[2] is not None and model[2] <= memory))
    ]
    if unscored and (iou is not None or any(model[0] for model in models)):
        assert found.path is None
        names = ", ".join(unscored)
        assert found.reason == (
            f"the soft IoU of {names} is unknown, so that the files cannot be compared"
        )
        return
    if found.path is None:
        assert not any(model[1] for model in fitting.values()) or not fitting
        return
    chosen = fitting[found.path]
    if latency is None and memory is None:
        assert chosen[1] == min(model[1] for model in fitting.values() if model[1])
    elif any(model[0] for model in fitting.values()):
        assert chosen[0] == max(model[0] for model in fitting.values() if model[0])


def test_a_reason_says_what_was_decided_by_and_what_is_unsure() -> None:
    result = bench_result([(5, 4, 3), (6, 5, 3), (7, 9, 3)])
    best = recommend(result, Budget(max_latency_ms=6))
    assert best.path == "1"
    assert best.reason == (
        "the highest soft IoU, 0.600, of the 2 files within the budget (p90 of at most 6 ms)"
    )
    fastest = recommend(result, Budget(min_iou=0.6))
    assert fastest.path == "1"
    assert fastest.reason == (
        "the fastest of the 2 files within the budget (soft IoU of at least 0.6); the difference "
        "in latency to 2 is not significant"
    )


def test_without_a_recommendation_the_reason_is_the_limit_that_no_file_keeps() -> None:
    result = bench_result([(5, 4, 3), (6, 5, 3), (7, 9, 3)])
    assert recommend(result, Budget(max_latency_ms=3, min_iou=0.9)).reason == (
        "no file is within the budget: the lowest p90 is 4 ms, the limit is 3 ms, the highest soft "
        "IoU is 0.7, the limit is 0.9"
    )
    latency_alone = recommend(result, Budget(max_latency_ms=3, min_iou=0.1))
    assert latency_alone.path is None
    assert latency_alone.reason == (
        "no file is within the budget: the lowest p90 is 4 ms, the limit is 3 ms"
    )


def test_limits_that_exclude_each_others_files_are_stated_among_these() -> None:
    result = bench_result([(5, 4, 3), (6, 5, 3), (7, 9, 3)])
    found = recommend(result, Budget(max_latency_ms=4, min_iou=0.6))
    assert found.path is None
    assert found.reason == (
        "each limit is kept by some file, but no file keeps all: among the files within the other "
        "limits, the lowest p90 is 5 ms, the limit is 4 ms; the highest soft IoU is 0.5, the limit "
        "is 0.6"
    )


def test_too_few_images_to_tell_count_as_no_significant_difference() -> None:
    result = bench_result([(5, 4, 3), (9, 5, 3)])
    rows = tuple(
        replace(row, accuracy=replace(row.accuracy, per_image_iou=(iou,) * 4))
        for row, iou in zip(result.models, (0.5, 0.9), strict=True)
        if row.accuracy is not None
    )
    assert recommend(replace(result, models=rows), Budget(max_latency_ms=9)).path == "0"


@pytest.mark.parametrize(("shift", "path"), [(0.0, "0"), (0.5, "1")])
def test_of_files_without_a_significant_difference_the_fastest_is_recommended(
    shift: float, path: str
) -> None:
    """The slower file scores higher, on every image alike or on a bare majority of them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.1, 40)
    result = bench_result([(5, 4, 3), (6, 5, 3)])
    scores = (0.3 + 0.0 * noise, 0.3 + 0.005 + shift + noise - noise.mean())
    rows = tuple(
        replace(row, accuracy=replace(row.accuracy, iou=each.mean(), per_image_iou=tuple(each)))
        for row, each in zip(result.models, scores, strict=True)
        if row.accuracy is not None
    )
    found = recommend(replace(result, models=rows), Budget(max_latency_ms=9))
    assert found.path == path
    assert ("is as good as the highest" in found.reason) == (path == "0")


@pytest.mark.parametrize(("shift", "path"), [(2e-8, "0"), (9e-4, "0"), (2e-3, "1")])
def test_a_difference_on_all_images_that_rounding_can_make_does_not_decide(
    shift: float, path: str
) -> None:
    """One file on two providers; the slower one is the more accurate by rounding."""
    result = bench_result([(5, 4, 3), (5, 5, 3)])
    scores = np.random.default_rng(0).uniform(0.2, 0.8, 40)
    rows = tuple(
        replace(row, accuracy=replace(row.accuracy, iou=each.mean(), per_image_iou=tuple(each)))
        for row, each in zip(result.models, (scores, scores + shift), strict=True)
        if row.accuracy is not None
    )
    measured = replace(result, models=rows)
    assert recommend(measured, Budget(max_latency_ms=9)).path == path
    assert recommend(replace(measured, models=rows[::-1]), Budget(max_latency_ms=9)).path == path


def test_a_file_that_is_faster_by_chance_and_dominated_is_not_recommended() -> None:
    """The same file on two providers: the second takes more memory, and neither is ranked."""
    for verdict, path in (("not ranked", "0"), ("slower", "1")):
        result = bench_result([(5, 5, 3), (5, 4, 6)], verdict)  # type: ignore[arg-type]
        found = recommend(result, Budget(max_latency_ms=9))
        assert found.path == path
        assert find_dominators(result)[path] == ()


@pytest.mark.parametrize(("p50", "p90", "fits"), [(9.0, 11.0, False), (9.0, 10.0, True)])
def test_a_latency_limit_is_one_of_the_ninetieth_percentile(
    p50: float, p90: float, fits: bool
) -> None:
    result = bench_result([(5, 9, 3)])
    (model,) = result.models
    assert model.latency_ms is not None
    latency = replace(model.latency_ms, p50=p50, p90=p90)
    found = recommend(
        replace(result, models=(replace(model, latency_ms=latency),)), Budget(max_latency_ms=10.0)
    )
    assert (found.path == "0") is fits


@pytest.mark.parametrize(("peak", "fits"), [(100_000_000, True), (100_000_001, False)])
def test_a_memory_limit_counts_in_millions_of_bytes(peak: int, fits: bool) -> None:
    result = bench_result([(5, 9, 3)])
    model = replace(result.models[0], memory_bytes={"peak": peak, "steady": 1})
    found = recommend(replace(result, models=(model,)), Budget(max_memory_mb=100.0))
    assert (found.path == "0") is fits
