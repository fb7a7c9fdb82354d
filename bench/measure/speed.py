"""Latency, throughput and stages of several files, timed interleaved."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.measure.client import PRODUCT_SIDE, NetworkWorker
from bench.measure.estimates import LATENCY, throughput
from bench.measure.partial_result import PartialResult
from bench.measure.settings import MeasurementSettings
from bench.measure.stages import example_jpeg
from runtime.core.errors import MeasurementError
from runtime.core.progress import Progress
from runtime.model.providers import CPU, ProviderRequest
from runtime.model.stopping_rule import StoppingRule
from runtime.model.timing import InterleavedTiming, TimedRun

Advance = Callable[[float, str], None]
"""Called with the finished fraction of a phase, and a note on what is being measured."""


class SpeedMeasurement:
    """A context in which each file is loaded in a process of its own, to be timed.

    Times are added to the files' results as they are taken. A process is paused while others run.

    Args:
        files: the files that can be timed.
        settings: the settings of the measurement.
        advance: called for each round.
    """

    def __init__(
        self, files: Sequence[PartialResult], settings: MeasurementSettings, advance: Advance
    ) -> None:
        self._files = files
        self._settings = settings
        self._advance = advance
        self._workers: list[tuple[PartialResult, NetworkWorker]] = []
        self._product: InterleavedTiming | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "SpeedMeasurement":
        with self._stack:  # ends the processes if a signal comes while they start
            for file in self._files:
                with file.recording_failure():
                    worker = self._stack.enter_context(NetworkWorker(self._settings, file.request))
                    file.fixed_batch = worker.load(file.path).fixed_batch
                    worker.pause()
                    self._workers.append((file, worker))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def matmul_gmacs_per_s(self) -> float | None:
        """The rate of the matrix product at its median time; None before it was timed."""
        if self._product is None or not len(seconds := self._product.seconds(-1)):
            return None
        return PRODUCT_SIDE**3 / float(np.median(seconds)) / 1e9

    def time_latency(self) -> None:
        """Time single images, interleaved with a float32 matrix product."""
        if not self._workers:
            return
        product = self._stack.enter_context(NetworkWorker(self._settings, ProviderRequest()))
        timing = self._prepare(1, self._settings.rule, [product.time_product])
        self._product = timing
        self._run(1, timing, LATENCY)

    def time_throughput(self, batch: int) -> None:
        """Time batches, for half as long as single images.

        Files whose graph takes another number of images only have no throughput at this one.
        """
        for file, worker in self._workers:
            if file.can_be_timed and file.fixed_batch == 1 and file.request.provider != CPU:
                self._reload(file, worker, batch)
        rule = self._settings.rule
        timing = self._prepare(batch, replace(rule, max_seconds=rule.max_seconds / 2))
        self._run(batch, timing, throughput(batch))

    def _reload(self, file: PartialResult, worker: NetworkWorker, batch: int) -> None:
        """Open a network for batches, which was compiled for single images."""
        try:
            file.fixed_batch = worker.load(file.path, batch_size=batch).fixed_batch
            worker.pause()
        except MeasurementError as error:
            file.add_failure(error, label=throughput(batch))

    def time_stages(self) -> None:
        """Time the stages of a prediction from a JPEG."""
        with tempfile.TemporaryDirectory(prefix="seg-bench-") as folder:
            image = Path(folder) / "scan.jpg"
            image.write_bytes(example_jpeg())
            for run in range(self._settings.stage_runs):
                for file, worker in self._workers:
                    if not file.is_broken:
                        self._advance(run / self._settings.stage_runs, file.label)
                        with file.recording_failure():
                            file.stages.append(worker.time_stages(image))

    def _prepare(
        self, batch: int, rule: StoppingRule, others: Sequence[TimedRun] = ()
    ) -> InterleavedTiming:
        """Return a timing of a batch, whose samples the files' results read while it runs."""
        workers = [
            (file, worker)
            for file, worker in self._workers
            if file.can_be_timed and file.fixed_batch in (None, batch)
        ]
        runs = [partial(worker.time_batch, batch) for _, worker in workers]
        timing = InterleavedTiming([*runs, *others], rule)
        for index, (file, _) in enumerate(workers):
            file.timed[batch] = timing, index
        return timing

    def _run(self, batch: int, timing: InterleavedTiming, label: str) -> None:
        def on_progress(progress: Progress) -> None:
            fraction = max(timing.time_share, progress.fraction)
            self._advance(min(1.0, fraction), f"round {progress.done:g}")

        timing.run(on_progress)
        for file, _ in self._workers:
            if batch not in file.timed or file.timed[batch][0] is not timing:
                continue
            failure = timing.failure(file.timed[batch][1])
            if failure is not None:
                file.add_failure(failure, label=label)
                file.is_broken |= batch == 1
