"""Workers within the process of the tests: a process of its own takes a second of imports each."""

import io
import json
from importlib import import_module
from queue import SimpleQueue
from typing import Any

import pytest

from bench.workers.process import Worker
from bench.workers.service import Answer, Service


class _InlineService(Service):
    """Answers one request at a time, on a queue."""

    def __init__(self) -> None:
        self.lines: SimpleQueue[bytes] = SimpleQueue()

    def run(self, commands: Any) -> None:
        self._commands = commands

    def send(self, answer: Answer) -> None:
        self.lines.put(json.dumps(answer).encode())

    def answer(self, request: Answer) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
            super().run(self._commands)


def use_inline_workers(patch: pytest.MonkeyPatch) -> None:
    """Let every worker answer in this process, by the commands of its module.

    Errors and progress arrive as from a process. A crash or a wait beyond the limit does not.
    """

    def start(self: Worker, module: str, *, threads: int, limit_s: float) -> None:
        service = _InlineService()
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(f"{module}.Service", lambda: service)
            import_module(module).main()
        vars(self).update(_limit_s=limit_s, _lines=service.lines, _service=service)

    def ask(self: Worker, command: str, **request: Any) -> Answer:
        vars(self)["_service"].answer({"do": command, **request})
        return self.next_answer()

    patch.setattr(Worker, "__init__", start)
    patch.setattr(Worker, "ask", ask)
    patch.setattr(Worker, "pause", lambda _: None)
    patch.setattr(Worker, "close", lambda _: None)
