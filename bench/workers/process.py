"""The coordinator's side of the protocol: a worker is asked, and paused while others are timed."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread
from typing import Any, Self

from runtime.core.errors import MeasurementError, printable

_THREADING = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_")
_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A fresh process that runs a module, as a context manager that ends it.

    Environment variables that tune the threads of single libraries are not passed on.

    Args:
        module: name of a module that serves requests by `bench.workers.service`.
        threads: number of threads for libraries that read it from the environment.
        limit_s: longest wait for an answer, in seconds.
    """

    def __init__(self, module: str, *, threads: int, limit_s: float) -> None:
        self._limit_s = limit_s
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by `close`
        self._process = subprocess.Popen(  # noqa: S603, our own modules
            # Without -P, modules in the current folder would shadow installed ones.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(threads),
            # Ctrl-C is handled by the coordinator, which has the results.
            process_group=0,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            MeasurementError: the worker failed, crashed, or exceeded the time limit.
        """
        assert self._process.stdin is not None
        self._signal("SIGCONT")
        try:
            self._process.stdin.write(json.dumps({"do": command, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MeasurementError(self._end()) from None
        return self.next_answer()

    def next_answer(self) -> dict[str, Any]:
        """Return another answer to the last request.

        Raises:
            MeasurementError: as in `ask`.
        """
        try:
            line = self._lines.get(timeout=self._limit_s)
        except queue.Empty:
            self._process.kill()
            raise MeasurementError(f"gave no answer within {self._limit_s:g} s") from None
        if not line:
            raise MeasurementError(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise MeasurementError(_line(answer["error"]))
        return answer

    def pause(self) -> None:
        """Stop the process (SIGSTOP) until the next request.

        The threads of OpenMP and ONNX Runtime spin after their work. They would take a core from
        the network that is timed next. Systems without the signal let them spin.
        """
        self._signal("SIGSTOP")

    def close(self) -> None:
        """Kill the process and its children, whatever they are doing."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            # A request may be unread.
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _end(self) -> str:
        code = self._process.wait()
        cause = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if code == -signal.SIGKILL:
            cause += ", perhaps for lack of memory"
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return _line(f"its process ended with {cause}" + (f" ({last[:200]})" if last else ""))

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # missing on Windows
        if number is not None:
            self._process.send_signal(number)


def _line(text: str) -> str:
    """Return text as one line without control characters, shortened to 400 characters."""
    return printable(" ".join(text.split()), 400)


def _environment(threads: int) -> dict[str, str]:
    passed = {name: v for name, v in os.environ.items() if not name.startswith(_THREADING)}
    folders = [folder or str(Path.cwd()) for folder in sys.path]
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), *folders)))
    return {**passed, **dict.fromkeys(_COUNTS, str(threads)), "PYTHONPATH": path}
