"""The steps of a study or a sweep, with their estimated times and their progress."""

from collections.abc import Callable, Mapping

from runtime.core.errors import StoppedError
from runtime.core.progress import Progress, ProgressCallback


class Schedule:
    """Steps with estimated seconds, carried out one after the other.

    Args:
        on_progress: called when a step starts and advances. `done` and `total` are estimated
            seconds, `phase` is the name of the step.
        stop: asked before each step and within long ones; True ends the work.

    Example:
        >>> schedule = Schedule(lambda p: print(*filter(None, (p.phase, p.note)), p.done, p.total))
        >>> schedule.add("train", 60.0)
        >>> schedule.add("export", 20.0)
        >>> schedule.start("train")
        train 0.0 80.0
        >>> schedule.advance(0.5, "epoch 1/2")
        train epoch 1/2 30.0 80.0
        >>> schedule.start("export")
        export 60.0 80.0
    """

    def __init__(
        self,
        on_progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._on_progress = on_progress
        self.stop = stop
        self._seconds: dict[str, float] = {}
        self._done = 0.0
        self._current = ""

    @property
    def total(self) -> float:
        """Estimated seconds of all steps."""
        return sum(self._seconds.values())

    def add(self, step: str, seconds: float) -> None:
        """Add a step with its estimated seconds."""
        self._seconds[step] = seconds

    def start(self, step: str) -> None:
        """Finish the current step, if there is one, and start another.

        A step without an estimate counts as 0 seconds.

        Raises:
            StoppedError: `stop` returned True.
        """
        self._done += self._seconds.get(self._current, 0.0)
        self._current = step
        self.check()
        self.advance(0.0)

    def check(self) -> None:
        """Raise StoppedError if `stop` returns True."""
        if self.stop():
            raise StoppedError(f"stopped at: {self._current}; the same command resumes there")

    def advance_together(
        self, fractions: Mapping[str, float], note: str = "", *, milestone: bool = False
    ) -> None:
        """Report that fractions in [0, 1] of several later steps are done."""
        done = sum(fraction * self._seconds.get(step, 0.0) for step, fraction in fractions.items())
        if self._on_progress is not None:
            done += self._done
            self._on_progress(Progress(done, self.total, self._current, note, milestone))

    def advance(self, fraction: float, note: str = "", *, milestone: bool = False) -> None:
        """Report that a fraction in [0, 1] of the current step is done."""
        if self._on_progress is not None:
            done = self._done + fraction * self._seconds.get(self._current, 0.0)
            self._on_progress(Progress(done, self.total, self._current, note, milestone))
