"""The work that a study or a sweep has to do, so that it can say how far it is."""

from collections.abc import Callable

from runtime.core.errors import StoppedError

Listener = Callable[[str, float, float], None]
"""Called with what is being done, and the estimated seconds of work done and of all."""
NOTE = ": "
"""Between the name of a piece of work and what is told of it."""


class Work:
    """Pieces of work with their estimated seconds, done one after the other.

    Args:
        stop: tells whether the work shall stop.
    """

    def __init__(
        self, listener: Listener = lambda *_: None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._listener = listener
        self.stop = stop
        self._planned: dict[str, float] = {}
        self._done = 0.0
        self._current: str | None = None

    @property
    def total(self) -> float:
        """Estimated seconds of everything that is planned."""
        return sum(self._planned.values())

    def plan(self, name: str, seconds: float) -> None:
        """Add a piece of work."""
        self._planned[name] = seconds

    def begin(self, name: str) -> None:
        """End the piece of work before, if there is one, and begin another, planned or not.

        Raises:
            StoppedError: the work shall stop.
        """
        self.check(name)
        self._done += self._planned.get(self._current or "", 0.0)
        self._current = name
        self.advance(0.0)

    def check(self, name: str) -> None:
        """Raise StoppedError if the work shall stop, at the piece of it called `name`."""
        if self.stop():
            raise StoppedError(f"stopped at: {name}; the same command goes on there")

    def advance(self, share: float, note: str = "") -> None:
        """Tell that a share in [0, 1] of the current piece is done."""
        name = self._current or ""
        done = self._done + share * self._planned.get(name, 0.0)
        self._listener(f"{name}{NOTE}{note}" if note else name, done, self.total)
