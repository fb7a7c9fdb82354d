"""The result of one file while it is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.measure.accuracy import Accuracy
from bench.measure.client import FileFacts, LoadedNetwork
from bench.measure.latency import summarize
from bench.measure.result import ModelResult, row_name
from runtime.core.errors import MeasurementError
from runtime.model.providers import ProviderRequest
from runtime.model.stopping_rule import Doubles
from runtime.model.timing import InterleavedTiming


@dataclass(slots=True)
class PartialResult:
    """The result of one file on one provider so far.

    Attributes:
        path: the file.
        request: the execution provider.
        facts: figures that need no run; None until it is inspected.
        loaded: the settings it runs with; None until it is loaded.
        startups: seconds of each start-up.
        openings: seconds in which each of these opened the network.
        first_predictions: seconds of the first prediction of each of these.
        memory: resident bytes by phase.
        timed: by batch size, the timing that takes the samples and the index of the file in it.
        stages: seconds by stage, for each prediction.
        accuracy: the accuracy; None until it is scored.
        fixed_batch: the only number of images that the graph takes at once; None for any.
        failures: reasons of what failed.
        is_broken: whether no further measurement is tried.
    """

    path: Path
    request: ProviderRequest = field(default_factory=ProviderRequest)
    facts: FileFacts | None = None
    loaded: LoadedNetwork | None = None
    startups: list[float] = field(default_factory=list)
    openings: list[float] = field(default_factory=list)
    first_predictions: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    timed: dict[int, tuple[InterleavedTiming, int]] = field(default_factory=dict)
    stages: list[dict[str, float]] = field(default_factory=list)
    accuracy: Accuracy | None = None
    fixed_batch: int | None = None
    failures: list[str] = field(default_factory=list)
    is_broken: bool = False

    @property
    def name(self) -> str:
        """The name of the result, as `ModelResult.name`."""
        return row_name(str(self.path), self.request)

    @property
    def label(self) -> str:
        """The name without the folder, for progress."""
        return row_name(self.path.name, self.request)

    @property
    def can_be_timed(self) -> bool:
        """True if nothing has failed in the process that times the file."""
        timings = self.timed.values()
        return not self.is_broken and all(timing.failure(i) is None for timing, i in timings)

    def samples(self, batch: int) -> Doubles:
        """Return the seconds of each timed run of a batch so far."""
        if batch not in self.timed:
            return np.empty(0)
        timing, index = self.timed[batch]
        return timing.seconds(index)

    def add_failure(self, error: Exception, *, label: str = "") -> None:
        """Add the reason of a failure, without the path that messages start with."""
        reason = str(error).removeprefix(f"{self.path}: ")
        self.failures.append(f"{label}: {reason}" if label else reason)

    @contextmanager
    def recording_failure(self) -> Iterator[None]:
        """Record a MeasurementError of the block, after which nothing more is measured."""
        try:
            yield
        except MeasurementError as error:
            self.add_failure(error)
            self.is_broken = True

    def to_result(self, matmul_gmacs_per_s: float | None) -> ModelResult:
        """Return the result so far.

        Args:
            matmul_gmacs_per_s: rate of the matrix product in the same run; None if unknown.
        """
        facts, loaded, seconds = self.facts, self.loaded, self.samples(1)
        latency = summarize(seconds) if len(seconds) else None
        macs = None if facts is None else facts.macs
        rate = macs / latency.p50 / 1e6 if macs is not None and latency is not None else None
        return ModelResult(
            path=str(self.path),
            digest=None if facts is None else facts.digest,
            parameters=None if facts is None else facts.parameters,
            macs=macs,
            file_bytes=None if facts is None else facts.file_bytes,
            size=None if loaded is None else loaded.size,
            request=self.request,
            engine=None if loaded is None else loaded.engine,
            choice=None if loaded is None else loaded.choice,
            fixed_batch=self.fixed_batch,
            open_s=float(np.median(self.openings)) if self.openings else None,
            latency_ms=latency,
            throughput_per_s=self._throughput() or None,
            stages_ms=self._stages_ms() or None,
            memory_bytes={**self.memory, "weights": facts.weights}
            if self.memory and facts
            else None,
            startup_s=float(np.median(self.startups)) if self.startups else None,
            gmacs_per_s=rate,
            matmul_share=self._matmul_share(rate, matmul_gmacs_per_s),
            accuracy=self.accuracy,
            failure="; ".join(self.failures) or None,
        )

    def _matmul_share(self, rate: float | None, product: float | None) -> float | None:
        """Return the rate relative to the float32 product's: of a file that computes in float32."""
        computed = self.loaded is not None and self.loaded.engine.arithmetic == "float32"
        is_float32 = computed and self.facts is not None and self.facts.float32
        return rate / product if rate and product and is_float32 else None

    def _throughput(self) -> dict[str, float]:
        return {
            str(batch): batch * len(samples) / float(samples.sum())
            for batch in self.timed
            if len(samples := self.samples(batch))
        }

    def _stages_ms(self) -> dict[str, float]:
        names = self.stages[0] if self.stages else ()
        return {
            name: 1e3 * float(np.median([seconds[name] for seconds in self.stages]))
            for name in names
        }
