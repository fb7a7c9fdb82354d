import pytest

from bench.schedule import Schedule
from runtime.core.errors import StoppedError
from runtime.core.progress import Progress


def test_steps_that_are_over_count_in_full_and_the_current_one_in_part() -> None:
    seen: list[Progress] = []
    schedule = Schedule(seen.append)
    for step, seconds in (("a", 10.0), ("b", 30.0), ("c", 60.0)):
        schedule.add(step, seconds)
    schedule.start("a")
    schedule.start("unknown")
    schedule.start("b")
    schedule.advance(0.5, "half")
    schedule.start("c")
    schedule.advance(1.0)
    assert [(p.done, p.phase, p.note) for p in seen] == [
        (0.0, "a", ""), (10.0, "unknown", ""), (10.0, "b", ""), (25.0, "b", "half"),
        (40.0, "c", ""), (100.0, "c", ""),
    ]  # fmt: skip
    assert {p.total for p in seen} == {schedule.total} == {100.0}


def test_a_stopped_schedule_names_its_step_and_reports_nothing_more() -> None:
    seen: list[Progress] = []
    schedule = Schedule(seen.append, stop=lambda: len(seen) == 1)
    schedule.start("a")
    with pytest.raises(StoppedError, match="stopped at: b; the same command resumes there"):
        schedule.start("b")
    assert len(seen) == 1
