"""The workers of a cluster while a command waits: who is awaited, who came, and who is gone."""

import time
from collections.abc import Callable
from typing import TypeVar

from distributed import Client, Future

from runtime.core.errors import printable

_LOOK_S = 2.0
"""Between two looks at the workers."""
_WAIT_S = 0.5
"""Between two looks where there are none."""
_TASK_S = 0.05
"""Between two looks at a task."""
_REPEAT_S = 60.0
"""Between two sentences that there are none."""

Result = TypeVar("Result")


class WorkerWatch:
    """A client of a cluster that tells what happens to the workers.

    Args:
        scheduler: its name in sentences.
        tell: called with a sentence, in the thread that waits.

    Attributes:
        threads: of all workers, as of the last look.
    """

    def __init__(
        self, client: Client, scheduler: str, tell: Callable[[str], None] | None = None
    ) -> None:
        self.client = client
        self.threads = 0
        self._scheduler = printable(scheduler)
        self._tell = tell or (lambda sentence: None)
        self._workers: set[str] | None = None
        self._looked = time.monotonic()
        self._told = self._looked - _REPEAT_S + _LOOK_S  # a moment before the first sentence

    def wait(self) -> None:
        """Wait until there is a worker."""
        self._look()
        while not self._workers:
            time.sleep(_WAIT_S)
            self._look()

    def result(self, future: "Future[Result]") -> Result:
        """Return the result of a task, or raise its error, and watch the workers until then."""
        while not future.done():
            time.sleep(_TASK_S)
            self.look()
        return future.result()

    def look(self) -> None:
        """Look at the workers, unless that was done just now. Call it while waiting."""
        if time.monotonic() - self._looked >= _LOOK_S:
            self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            threads = self.client.nthreads()
        except OSError:  # the client notices by itself that the scheduler went away
            return
        self.threads = sum(threads.values())
        before, self._workers = self._workers, set(threads)
        if before is not None:
            self._tell_changes(before, self._workers)
        self._tell_waiting()

    def _tell_changes(self, before: set[str], now: set[str]) -> None:
        for worker in sorted(before - now):
            self._tell(f"the worker {printable(worker)} is gone; its work is done elsewhere")
        if now - before:
            number = "1 worker" if len(now) == 1 else f"{len(now)} workers"
            self._tell(f"{number} at {self._scheduler}")

    def _tell_waiting(self) -> None:
        """Tell that there are no workers, after a moment and then rarely."""
        if self._workers:
            self._told = self._looked - _REPEAT_S + _LOOK_S
        elif self._looked - self._told >= _REPEAT_S:
            self._told = self._looked
            self._tell(f"waiting for workers at {self._scheduler}")
