"""What Ctrl-C (SIGINT) and SIGTERM do to a command."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from runtime.errors import StoppedError


class Terminated(KeyboardInterrupt):
    """SIGTERM came; what is open is closed and kept on the way out, as with Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise Terminated, as SIGINT raises KeyboardInterrupt."""
    with _handling({signal.SIGTERM: _terminate}):
        yield


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether the work shall stop, because one of the signals came.

    The first leaves it to the work to end with StoppedError, whose exit code becomes 130 or 143; a
    second one ends the command at once.
    """
    received: list[int] = []

    def request(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        # Past sys.stderr, which may be in the middle of a write.
        with suppress(OSError):
            os.write(2, b"\nStopping after this step; Ctrl-C again stops at once.\n")

    with _handling({signal.SIGINT: request, signal.SIGTERM: request}):
        try:
            yield lambda: bool(received)
        except StoppedError as error:
            if received:
                error.exit_code = 128 + received[0]
            raise


def _terminate(*_: object) -> None:
    raise Terminated


@contextmanager
def _handling(handlers: dict[int, Callable[[int, Any], None]]) -> Iterator[None]:
    """Handle signals, but for those that are ignored, as SIGINT is in a script's background."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
