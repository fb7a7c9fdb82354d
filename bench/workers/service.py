"""The worker's side of the protocol: requests on standard input, answers on standard output.

A request is an object with the name of a command under "do" and its arguments beside it. An answer
is the object that the command returns, or the reason of a failure under "error". Output that
libraries print goes to standard error.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from runtime.core.errors import SegmentationError

Answer = dict[str, Any]
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


class Service:
    """A loop that answers requests until standard input ends.

    Nothing heavy is imported before a command needs it, because start-up time and memory are
    measured in such a process.
    """

    def __init__(self) -> None:
        _end_with_parent()
        self._answers = _claim_stdout()

    def run(self, commands: Mapping[str, Callable[..., Answer]]) -> None:
        """Answer each request by its command; every exception becomes an answer.

        Args:
            commands: functions by name, called with the arguments of a request.
        """
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = commands[request.pop("do")](**request)
            except SegmentationError as error:
                answer = {"error": str(error)}
            except MemoryError:
                answer = {"error": "the machine's memory is not enough for this"}
            except Exception as error:  # the other networks are measured nevertheless
                answer = {"error": f"unexpected {type(error).__name__}: {error}"}
            self.send(answer)

    def send(self, answer: Answer) -> None:
        """Send an answer at once, for example progress before a command returns."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def _end_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends: while paused, it could not notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _claim_stdout() -> TextIO:
    """Return standard output for answers, and redirect what is printed to standard error."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(channel, "w", encoding="utf-8")
