"""Asking a worker process, and telling why where it does not answer."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.errors import MeasurementError

_ROOT = Path(__file__).resolve().parents[2]
_BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Process:
    """A fresh worker process, ended when the block is left.

    Args:
        threads: that numpy's matrix product may use.
        limit_s: seconds that an answer may take.
    """

    def __init__(self, threads: int, limit_s: float) -> None:
        self._limit_s = limit_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by `close`
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            # Without -P the folder it is started in would come first among the modules'.
            [sys.executable, "-P", "-m", "bench.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path, **dict.fromkeys(_BLAS, str(threads))},
            # Ctrl-C is for the process that has the results.
            start_new_session=True,
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            MeasurementError: the worker failed, crashed, or took longer than the limit.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": command, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise MeasurementError(self._reason()) from error
        return self.next_answer()

    def next_answer(self) -> dict[str, Any]:
        """Return a further answer to the last request. Raises MeasurementError, as `ask`."""
        try:
            line = self._answers.get(timeout=self._limit_s)
        except queue.Empty as error:
            self._process.kill()
            raise MeasurementError(f"gave no answer within {self._limit_s:g} s") from error
        if not line:
            raise MeasurementError(self._reason())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise MeasurementError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:  # of a request that it no longer took
                continue

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _reason(self) -> str:
        code = self._process.wait()
        how = f"exit code {code}"
        if code < 0:
            how = signal.Signals(-code).name
        if code == -signal.SIGKILL:
            how += ", perhaps for lack of memory"
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"its process ended with {how}" + (f" ({last[:200]})" if last else "")
