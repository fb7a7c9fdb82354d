"""Handling of Ctrl-C (SIGINT) and SIGTERM in commands."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from runtime.core.errors import StoppedError

_REPEATED_S = 0.1
"""A repeat within this time of the first signal counts as the first, for handlers and the watch:
`timeout` sends a signal to a process and to its group."""
_GRACE_S = 1.0
"""Time for the main thread to handle a second signal."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; files are closed and results saved, as after Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise Terminated, as SIGINT raises KeyboardInterrupt.

    A second signal ends the process even if no exception can be raised (`_watched`).
    """
    with _handling({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}):
        yield


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise a signal's exception itself where a C module turned it into an ImportError.

    A signal that arrives while a module of pybind11 is loaded ends as "initialization failed".
    """
    try:
        yield
    except Exception as error:
        link: BaseException | None = error
        while link is not None:
            cause = link.__cause__
            if isinstance(link, ImportError) and isinstance(cause, KeyboardInterrupt):
                raise cause from None
            link = cause or link.__context__
        raise


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a signal asks the job to stop.

    After the first signal, the job should end with StoppedError, whose exit code becomes 130 or
    143. A second signal ends the command at once, or after a second if C code is running
    (`_watched`).
    """
    received: list[int] = []

    def request(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        # Not by sys.stderr, which may be in the middle of a write.
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
def _handling(handlers: dict[int, Callable[[int, Any], Any]]) -> Iterator[None]:
    """Handle signals, except ignored ones, such as SIGINT in a background process of a script."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled: list[float] = []
    with ExitStack() as undo:
        for number, handler in handlers.items():
            earlier = signal.getsignal(number)
            if earlier not in (signal.SIG_IGN, None):
                signal.signal(number, _recording(handled, handler))
                undo.callback(signal.signal, number, earlier)
        undo.enter_context(_watched(handlers, handled))
        yield


def _recording(times: list[float], handler: Callable[[int, Any], Any]) -> Callable[[int, Any], Any]:
    """Return a handler that notes when it runs, and drops an immediate repeat of its signal."""
    first: float | None = None

    def call(number: int, frame: Any) -> Any:
        nonlocal first
        now = time.monotonic()
        times.append(now)
        if first is not None and now - first < _REPEATED_S:
            return None
        first = now if first is None else first
        return handler(number, frame)

    return call


@contextmanager
def _watched(numbers: Collection[int], handled: list[float]) -> Iterator[None]:
    """End the process at a second signal, even while no handler can run.

    Python runs handlers between two instructions of the main thread. They wait while C code runs,
    for example a graph that never ends. But the number of each signal is written to a pipe at once
    (`signal.set_wakeup_fd`), and a thread reads the pipe.

    Args:
        numbers: the signals.
        handled: times at which handlers ran (`time.monotonic`), added by the handlers.
    """
    if sys.platform == "win32":  # select() does not accept pipes there
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watch = threading.Thread(target=_watch, args=(reading, numbers, handled), daemon=True)
    watch.start()
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(writing)  # which ends the thread
        watch.join()
        os.close(reading)


def _watch(pipe: int, numbers: Collection[int], handled: list[float]) -> None:
    first = True
    while received := os.read(pipe, 1):
        number = received[0]
        if number not in numbers:
            continue
        if first:
            first = False
            if not _stays_open(pipe, _REPEATED_S):
                return
            continue
        came = time.monotonic() - _REPEATED_S  # a handler may run before this thread does
        if not _stays_open(pipe, _GRACE_S):
            return
        if not handled or handled[-1] < came:
            _end(number)


def _stays_open(pipe: int, seconds: float) -> bool:
    """Read from a pipe for some seconds, and return whether it is still open."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        if ready and not os.read(pipe, 64):
            return False
    return True


def _end(number: int) -> None:
    """End the process at once; files being written have temporary names, so none is damaged."""
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    with suppress(OSError):
        os.write(2, f"\nError: stopped by {name} in the middle of a computation\n".encode())
    os._exit(128 + number)
