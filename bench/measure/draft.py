"""What is known of a file while it is being measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure.accuracy import Accuracy
from bench.measure.result import ModelResult
from bench.measure.sampling import summarize
from runtime.core.errors import MeasurementError
from runtime.model.stopping import Doubles
from runtime.model.timing import InterleavedTiming


@dataclass(slots=True)
class Draft:
    """What is known of a file so far."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    loaded: dict[str, Any] = field(default_factory=dict)
    startups: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    # The samples by batch size: who takes them, and the file's number there.
    timed: dict[int, tuple[InterleavedTiming, int]] = field(default_factory=dict)
    stages: list[dict[str, float]] = field(default_factory=list)
    accuracy: Accuracy | None = None
    failures: list[str] = field(default_factory=list)
    is_broken: bool = False

    def samples(self, batch: int) -> Doubles:
        """Return the seconds that each run of a batch took so far."""
        if batch not in self.timed:
            return np.empty(0)
        timing, index = self.timed[batch]
        return timing.seconds(index)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a failure in the block as the file's, which is not measured any further."""
        try:
            yield
        except MeasurementError as error:
            self.failures.append(str(error))
            self.is_broken = True


def describe(draft: Draft, matmul_gmacs_per_s: float | None) -> ModelResult:
    """Return what is known of a file as a result.

    Args:
        matmul_gmacs_per_s: of the matrix product in the same run.
    """
    facts, seconds = draft.facts, draft.samples(1)
    latency = summarize(seconds) if len(seconds) else None
    macs = facts.get("macs")
    rate = macs / latency.p50 / 1e6 if macs is not None and latency is not None else None
    throughput = {
        str(batch): batch * len(samples) / float(samples.sum())
        for batch in draft.timed
        if len(samples := draft.samples(batch))
    }
    stages = {
        name: 1e3 * float(np.median([each[name] for each in draft.stages]))
        for name in (draft.stages[0] if draft.stages else ())
    }
    memory = {**draft.memory, "weights": facts["weights"]} if draft.memory else None
    return ModelResult(
        path=str(draft.path),
        digest=facts.get("digest"),
        parameters=facts.get("parameters"),
        macs=macs,
        file_bytes=facts.get("file_bytes"),
        size=tuple(draft.loaded["size"]) if draft.loaded else None,
        providers=tuple(draft.loaded.get("providers", ())),
        latency_ms=latency,
        throughput_per_s=throughput or None,
        stages_ms=stages or None,
        memory_bytes=memory,
        startup_s=float(np.median(draft.startups)) if draft.startups else None,
        gmacs_per_s=rate,
        matmul_share=rate / matmul_gmacs_per_s if rate and matmul_gmacs_per_s else None,
        accuracy=draft.accuracy,
        failure="; ".join(draft.failures) or None,
    )
