"""The steps of a study, a sweep or a measurement, with their expected times and their progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from runtime.core.errors import StoppedError
from runtime.core.progress import Progress, ProgressCallback

_PRIOR = 0.2
"""Weight of what was expected against what is measured, as a fraction of a step."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The seconds that a step is expected to take, and its kind."""

    seconds: float
    kind: str


class Schedule:
    """Steps with expected seconds, carried out one after the other.

    What is measured corrects what is expected: a step that takes twice as long doubles the expected
    time of the later ones of its kind.

    Args:
        on_progress: called when a step starts and advances. `done` are the seconds that steps with
            an expected time have taken so far, `total` are these and the expected ones that are
            left. `phase` is the name of the step.
        stop: asked before each step and within long ones; True ends the work.
        clock: returns the time in seconds.

    Example:
        >>> now = 0.0
        >>> show = lambda p: print(*filter(None, (p.phase, p.note)), p.done, p.total)
        >>> schedule = Schedule(show, clock=lambda: now)
        >>> schedule.add("export a", 10.0, kind="export")
        >>> schedule.add("export b", 20.0, kind="export")
        >>> schedule.start("export a")
        export a 0.0 30.0
        >>> now = 15.0
        >>> schedule.start("export b")
        export b 15.0 45.0
        >>> now = 30.0
        >>> schedule.advance(0.5, "half")
        export b half 30.0 45.0
    """

    def __init__(
        self,
        on_progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._on_progress = on_progress
        self.stop = stop
        self._clock = clock
        self._left: dict[str, _Step] = {}
        self._kinds: dict[str, tuple[float, float]] = {}
        self._parts: dict[str, float] = {}
        self._done = 0.0
        self._current = ""
        self._since = clock()
        self._fraction = 0.0

    def add(self, step: str, seconds: float, *, kind: str = "") -> None:
        """Add a step with its expected seconds, or change those of a step.

        Args:
            kind: of steps that correct each other; without it, the step is one of its own.
        """
        self._left[step] = _Step(seconds, kind or step)

    def start(self, step: str, *, parts: tuple[str, ...] = ()) -> None:
        """Finish the current step, if there is one, and start another.

        A step without an expected time counts as 0 seconds.

        Args:
            parts: later steps that are carried out within this one, at the same time.

        Raises:
            StoppedError: `stop` returned True.
        """
        self._finish()
        self._current = step
        self._parts = {part: self._left.pop(part).seconds for part in parts if part in self._left}
        if self._parts:
            self.add(step, sum(self._parts.values()))
        self.check()
        self.advance(0.0)

    def check(self) -> None:
        """Raise StoppedError if `stop` returns True."""
        if self.stop():
            raise StoppedError(f"stopped at: {self._current}; the same command resumes there")

    def advance(self, fraction: float, note: str = "", *, milestone: bool = False) -> None:
        """Report that a fraction in [0, 1] of the current step is done."""
        self._fraction = fraction
        if self._on_progress is not None:
            done = self._done
            if self._current in self._left:
                done += self._clock() - self._since
            total = done + self._seconds_left()
            self._on_progress(Progress(done, total, self._current, note, milestone))

    def advance_parts(
        self, fractions: Mapping[str, float], note: str = "", *, milestone: bool = False
    ) -> None:
        """Report that fractions in [0, 1] of the current step's parts are done."""
        done = sum(fraction * self._parts.get(part, 0.0) for part, fraction in fractions.items())
        whole = sum(self._parts.values())
        self.advance(done / whole if whole else 0.0, note, milestone=milestone)

    def _finish(self) -> None:
        """Take note of how long the current step took."""
        now = self._clock()
        step = self._left.pop(self._current, None)
        if step is not None:
            self._done += now - self._since
            expected, measured = self._kinds.get(step.kind, (0.0, 0.0))
            self._kinds[step.kind] = expected + step.seconds, measured + now - self._since
        self._since, self._fraction = now, 0.0

    def _seconds_left(self) -> float:
        """Return the expected seconds of the rest of the current step and of the later ones."""
        kinds, left = dict(self._kinds), 0.0
        current = self._left.get(self._current)
        if current is not None:
            whole = self._expected_whole(current)
            spent = self._clock() - self._since
            # A step that does not tell how far it is may take longer than expected.
            silent = max(whole - spent, _PRIOR * whole)
            left = whole * (1.0 - self._fraction) if self._fraction else silent
            expected, measured = kinds.get(current.kind, (0.0, 0.0))
            kinds[current.kind] = expected + current.seconds, measured + max(whole, spent)
        later = (step for name, step in self._left.items() if name != self._current)
        return left + sum(step.seconds * _ratio(kinds.get(step.kind)) for step in later)

    def _expected_whole(self, step: _Step) -> float:
        """Return the expected seconds of the whole current step, by what is done of it."""
        expected = step.seconds * _ratio(self._kinds.get(step.kind))
        if not self._fraction:
            return expected
        spent = self._clock() - self._since
        return (spent + _PRIOR * expected) / (self._fraction + _PRIOR)


def _ratio(times: tuple[float, float] | None) -> float:
    """Return measured over expected seconds; 1 where nothing was expected."""
    expected, measured = times or (0.0, 0.0)
    return measured / expected if expected > 0 else 1.0
