"""A backend while it is compared: opened in its own process, checked, then timed."""

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from bench.backends.backend import Backend, OpenRequest
from bench.backends.result import BackendResult
from bench.medians import RANKING_LEVEL, median, verdict_of
from bench.workers.process import Worker
from runtime.core.errors import MeasurementError
from runtime.core.machine import installed_versions
from runtime.core.schema import to_dict
from runtime.model.stopping_rule import Doubles

_MODULE = "bench.backends.worker"


@dataclass(slots=True, eq=False)
class Candidate:
    """A backend with its process and the results so far.

    Attributes:
        backend: the backend.
        request: the request that opens it.
        digest: SHA-256 of its ONNX file.
        worker: its process; None before it is opened and after it is dropped.
        reason: why it was dropped; "" if it was not.
        difference: as in `BackendResult`.
        seconds: samples, one for each round.
    """

    backend: Backend
    request: OpenRequest
    digest: str
    worker: Worker | None = None
    reason: str = ""
    difference: float = math.nan
    seconds: Doubles = field(default_factory=lambda: np.empty(0))

    def open(self, stack: ExitStack, limit_s: float) -> None:
        """Start a process that opens the backend and runs it on every input.

        Args:
            stack: ends the process when it is closed.
            limit_s: longest wait for an answer, in seconds.
        """
        missing = [name for name in self.backend.modules if find_spec(name) is None]
        if missing:
            self.reason = f"{missing[0]} is not installed; install the extra [{self.backend.extra}]"
            return
        threads = self.request.threads
        self.worker = stack.enter_context(Worker(_MODULE, threads=threads, limit_s=limit_s))
        try:
            self.worker.ask("open", **to_dict(self.request))
            self.worker.pause()
        except MeasurementError as error:
            self.drop(str(error))

    def check(self, expected: NDArray[np.float32], tolerance: float) -> None:
        """Drop the backend if its probabilities are not those of the reference.

        Args:
            expected: the reference's probabilities, float32 [N, 1, H, W].
            tolerance: largest absolute difference that is allowed.
        """
        if self.worker is None:
            return
        outputs = np.load(self.request.outputs)
        if outputs.shape != expected.shape:
            shapes = f"expected {list(expected.shape)}, found {list(outputs.shape)}"
            self.drop(f"wrong output shape: {shapes}")
            return
        self.difference = float(np.abs(outputs.astype(np.float64) - expected).max())
        if not self.difference <= tolerance:  # also refuses NaN
            self.drop(f"probabilities differ by more than {tolerance:g}")

    def drop(self, reason: str) -> None:
        """End the process and take no further part."""
        if self.worker is not None:
            self.worker.close()
        self.worker, self.reason = None, reason

    def time_run(self) -> float:
        """Return the seconds of one run.

        Raises:
            MeasurementError: the run failed; the process is ended.
        """
        assert self.worker is not None
        try:
            seconds = float(self.worker.ask("time")["seconds"])
        except MeasurementError:
            self.worker.close()  # else its threads could disturb the others
            raise
        self.worker.pause()
        return seconds

    def result(self, reference: "Candidate") -> BackendResult:
        """Return the result, relative to the reference's samples of the same rounds."""
        rounds = 0 if self.reason else min(len(self.seconds), len(reference.seconds))
        ratio = median(self.seconds[:rounds] / reference.seconds[:rounds], RANKING_LEVEL)
        distributions = self.backend.distributions
        versions = installed_versions(*distributions)
        return BackendResult(
            name=self.backend.name,
            digest=self.digest,
            versions={name: versions[name] for name in distributions if name in versions},
            reason=self.reason,
            difference=self.difference,
            seconds=tuple(self.seconds.tolist()),
            latency_ms=median(self.seconds[:rounds] * 1e3),
            ratio=ratio,
            verdict="reference" if self is reference else verdict_of(ratio),
        )
