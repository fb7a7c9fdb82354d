"""A worker as it sees itself: requests come one by one, what libraries print is no answer.

A request is an object with the name of a command under "do" and its arguments beside; the answer
is what the command returns, or the reason why it failed under "error".
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
    """Answers requests until standard input ends.

    Nothing heavy is imported before a command asks for it, since start-up and memory are measured
    in such a process.
    """

    def __init__(self) -> None:
        _end_with_parent()
        self._answers = _claim_stdout()

    def run(self, commands: Mapping[str, Callable[..., Answer]]) -> None:
        """Answer each request by the command that it names, whatever that may raise."""
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = commands[request.pop("do")](**request)
            except SegmentationError as error:
                answer = {"error": str(error)}
            except MemoryError:
                answer = {"error": "the machine's memory is not enough for this"}
            except Exception as error:  # the others are measured all the same
                answer = {"error": f"unexpected {type(error).__name__}: {error}"}
            self.tell(answer)

    def tell(self, answer: Answer) -> None:
        """Answer at once: what a command tells before it returns."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone: stopped, it would stay for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _claim_stdout() -> TextIO:
    """Return standard output for answers, and lead there to standard error what is printed."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(channel, "w", encoding="utf-8")
