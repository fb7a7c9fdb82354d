import pytest
from hypothesis import given, strategies as st

from bench.schedule import Schedule
from runtime.core.errors import StoppedError
from runtime.core.progress import Progress


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def left_of(progress: Progress) -> float:
    return progress.total - progress.done


def test_done_are_measured_seconds_and_total_the_expected_ones_that_are_left() -> None:
    seen: list[Progress] = []
    clock = Clock()
    schedule = Schedule(seen.append, clock=clock)
    for step, seconds in (("a", 10.0), ("b", 30.0), ("c", 60.0)):
        schedule.add(step, seconds)
    for now, step in ((0.0, "a"), (12.0, "unknown"), (20.0, "b")):
        clock.now = now
        schedule.start(step)
    clock.now = 35.0
    schedule.advance(0.5, "half")
    clock.now = 50.0
    schedule.start("c")
    clock.now = 110.0
    schedule.advance(1.0)
    assert [(p.done, p.phase, p.note) for p in seen] == [
        (0.0, "a", ""), (12.0, "unknown", ""), (12.0, "b", ""), (27.0, "b", "half"),
        (42.0, "c", ""), (102.0, "c", ""),
    ]  # fmt: skip
    assert [left_of(p) for p in seen] == [100.0, 90.0, 90.0, 75.0, 60.0, 0.0]


def test_a_step_that_takes_twice_as_long_doubles_those_of_its_kind() -> None:
    seen: list[Progress] = []
    clock = Clock()
    schedule = Schedule(seen.append, clock=clock)
    for step, seconds, kind in (
        ("train a", 10.0, "train"), ("export a", 8.0, "export"), ("train b", 20.0, "train"),
        ("train c", 5.0, "train"),
    ):  # fmt: skip
        schedule.add(step, seconds, kind=kind)
    schedule.start("train a")
    clock.now = 20.0
    schedule.start("export a")
    assert left_of(seen[-1]) == 8.0 + 2.0 * 20.0 + 2.0 * 5.0
    clock.now = 24.0
    schedule.start("train b")
    clock.now = 44.0
    schedule.advance(0.5)  # 40 s were expected of the whole, and half took half of it
    assert left_of(seen[-1]) == pytest.approx(20.0 + 2.0 * 5.0)


@given(st.floats(0.2, 5.0), st.floats(0.4, 0.95))
def test_the_first_step_of_a_kind_corrects_the_others_before_it_ends(
    slowness: float, fraction: float
) -> None:
    seen: list[Progress] = []
    clock = Clock()
    schedule = Schedule(seen.append, clock=clock)
    for step in ("a", "b", "c"):
        schedule.add(step, 10.0, kind="train")
    schedule.start("a")
    clock.now = 10.0 * slowness * fraction
    schedule.advance(fraction)
    truth = 10.0 * slowness * (3.0 - fraction)
    assert 1 / 2.5 < left_of(seen[-1]) / truth < 2.5
    clock.now = 10.0 * slowness
    schedule.start("b")
    assert left_of(seen[-1]) == pytest.approx(20.0 * slowness)


def test_a_step_that_tells_nothing_is_not_over_when_its_time_is() -> None:
    seen: list[Progress] = []
    clock = Clock()
    schedule = Schedule(seen.append, clock=clock)
    schedule.add("export", 10.0)
    schedule.start("export")
    clock.now = 7.0
    schedule.advance(0.0)
    clock.now = 25.0
    schedule.advance(0.0)
    assert [left_of(p) for p in seen] == [10.0, 3.0, 2.0]


def test_parts_are_done_at_the_same_time() -> None:
    seen: list[Progress] = []
    clock = Clock()
    schedule = Schedule(seen.append, clock=clock)
    for step, seconds in (("a", 30.0), ("b", 10.0), ("score", 5.0)):
        schedule.add(step, seconds)
    schedule.start("both", parts=("a", "b", "done before"))
    clock.now = 12.0
    schedule.advance_parts({"a": 0.5, "b": 1.0}, "b is done")
    # 25 of 40 seconds of work took 12: with the expectation, 24.2 s for the whole.
    assert left_of(seen[-1]) == pytest.approx((12.0 + 8.0) / (0.625 + 0.2) * 0.375 + 5.0)
    assert seen[-1].note == "b is done"
    clock.now = 20.0
    schedule.start("a")  # which finds its result
    assert left_of(seen[-1]) == 5.0


def test_a_stopped_schedule_names_its_step_and_reports_nothing_more() -> None:
    seen: list[Progress] = []
    schedule = Schedule(seen.append, stop=lambda: len(seen) == 1)
    schedule.start("a")
    with pytest.raises(StoppedError, match="stopped at: b; the same command resumes there"):
        schedule.start("b")
    assert len(seen) == 1
