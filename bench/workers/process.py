"""A worker as its coordinator sees it: asked, and, where others are timed meanwhile, stopped."""

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
from types import TracebackType
from typing import Any

from runtime.core.errors import MeasurementError, printable

_THREADING = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_")
_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A fresh process that runs a module, ended when the block is left.

    Variables that tune the threads of one library alone are not handed on.

    Args:
        module: its name; it serves requests by `bench.workers.service`.
        threads: that libraries which read them from the environment may use.
        limit_s: seconds that an answer may take.
    """

    def __init__(self, module: str, *, threads: int, limit_s: float) -> None:
        self._limit_s = limit_s
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by `close`
        self._process = subprocess.Popen(  # noqa: S603, our own modules
            # Without -P the folder it is started in would come first among the modules'.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(threads),
            # Ctrl-C is for the process that has the results.
            process_group=0,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            MeasurementError: the worker failed, crashed, or took longer than the limit; the message
                is a reason without the name of what was asked for.
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
        """Return a further answer to the last request. Raises MeasurementError, as `ask`."""
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

    def rest(self) -> None:
        """Stop the process (SIGSTOP) until it is asked again.

        Threads that spin after their work, as those of OpenMP and ONNX Runtime do, would take a
        core from whoever is timed next. On a system without the signal it waits as it is.
        """
        self._signal("SIGSTOP")

    def close(self) -> None:
        """End the process, whatever it does, and what it may have started."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            # A request that nobody read may still be waiting.
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _end(self) -> str:
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if code == -signal.SIGKILL:
            how += ", perhaps for lack of memory"
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "")
        return _line(f"its process ended with {how}" + (f" ({last.strip()[:200]})" if last else ""))

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # not on every system
        if number is not None:
            self._process.send_signal(number)


def _line(text: str) -> str:
    """Return text as one line that cannot move a terminal's cursor, whatever a file's names are."""
    return printable(" ".join(text.split()), 400)


def _environment(threads: int) -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith(_THREADING)}
    folders = [folder or str(Path.cwd()) for folder in sys.path]
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), *folders)))
    return {**kept, **dict.fromkeys(_COUNTS, str(threads)), "PYTHONPATH": path}
