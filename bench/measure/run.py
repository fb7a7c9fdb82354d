"""A measurement of several files, phase by phase, each file in processes of its own.

Timed phases are interleaved. If a file fails, the later phases skip it and its result states the
reason. The other files are measured nevertheless.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from bench.measure import estimates
from bench.measure.client import NetworkWorker
from bench.measure.latency import compare_latency
from bench.measure.partial_result import PartialResult
from bench.measure.result import BenchResult
from bench.measure.settings import MeasurementSettings
from bench.measure.speed import SpeedMeasurement
from bench.schedule import Schedule
from runtime.core.machine import describe_machine
from runtime.core.progress import Progress, ProgressCallback
from runtime.model.providers import CPU


class Measurement:
    """A measurement of files, whose result so far can be read at any time.

    Args:
        files: the files.
        settings: the settings.
        on_progress: called with a note before each step. `done` and `total` are estimated seconds.
    """

    def __init__(
        self,
        files: Sequence[Path],
        settings: MeasurementSettings,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self._files = [
            PartialResult(path, request) for path in files for request in settings.providers
        ]
        self._settings = settings
        self._on_progress = on_progress
        self._schedule = Schedule(self._report)
        self._images = estimates.count_images(settings)
        self._phase = estimates.INSPECTION
        self._speed: SpeedMeasurement | None = None
        self._date = datetime.now(UTC).isoformat(timespec="seconds")
        self._complete = False

    def run(self) -> BenchResult:
        """Measure every file and return the result."""
        self._inspect()
        self._time_startup()
        self._measure_memory()
        self._measure_speed()
        self._score()
        self._complete = True
        return self.result()

    def result(self) -> BenchResult:
        """Return the result so far."""
        rate = None if self._speed is None else self._speed.matmul_gmacs_per_s
        timed = [file for file in self._files if len(file.samples(1))]
        return BenchResult(
            machine=describe_machine(),
            models=tuple(file.to_result(rate) for file in self._files),
            date=self._date,
            threads=self._settings.threads,
            rule=self._settings.rule,
            matmul_gmacs_per_s=rate,
            complete=self._complete,
            rankings=tuple(
                compare_latency(a.name, b.name, a.samples(1), b.samples(1))
                for a, b in combinations(timed, 2)
            ),
        )

    def _unbroken(self) -> list[PartialResult]:
        return [file for file in self._files if not file.is_broken]

    def _report(self, state: Progress) -> None:
        if self._on_progress is not None:
            note = f"{state.phase}: {state.note}" if state.note else state.phase
            self._on_progress(Progress(state.done, state.total, "measure", note))

    def _start(self, phase: str) -> None:
        """Start a phase, with the expected times of it and of those after it."""
        self._phase = phase
        self._expect(after=False)
        self._schedule.start(phase)

    def _expect(self, *, after: bool) -> None:
        """Estimate the phases from the current one on, or only those after it."""
        expected = estimates.expected_seconds(self._files, self._settings, self._images)
        for later in list(expected)[list(expected).index(self._phase) + after :]:
            self._schedule.add(later, expected[later])

    def _advance(self, fraction: float, note: str) -> None:
        """Report a part of the current phase; what it has measured corrects the later ones."""
        self._expect(after=True)
        self._schedule.advance(fraction, note)

    def _inspect(self) -> None:
        self._start(estimates.INSPECTION)
        for index, file in enumerate(self._files):
            self._schedule.advance(index / len(self._files), file.label)
            with file.recording_failure(), NetworkWorker(self._settings, file.request) as worker:
                file.facts = worker.inspect(file.path)

    def _time_startup(self) -> None:
        """Start each file in a new process, interleaved; the first round fills the file cache."""
        self._start(estimates.STARTUP)
        rounds = 1 + self._settings.startups
        for round_ in range(rounds):
            for file in self._unbroken():
                self._advance(round_ / rounds, file.label)
                with file.recording_failure():
                    start = time.perf_counter()
                    with NetworkWorker(self._settings, file.request) as worker:
                        loaded = worker.load(file.path)
                        file.loaded = file.loaded or loaded  # only the first tells how auto chose
                        opened = time.perf_counter()
                        worker.predict()
                        end = time.perf_counter()
                    if round_ > 0:
                        file.startups.append(end - start)
                        file.openings.append(loaded.open_s)
                        file.first_predictions.append(end - opened)

    def _measure_memory(self) -> None:
        self._start(estimates.MEMORY)
        for index, file in enumerate(self._unbroken()):
            self._schedule.advance(index / len(self._files), file.label)
            with file.recording_failure():
                file.memory = self._memory(file, arena=True)
                if file.request.provider != CPU:
                    continue
                without = self._memory(file, arena=False)
                if without:
                    file.memory["peak_without_arena"] = without["peak"]
                if "trimmed" in without:
                    file.memory["arena"] = max(0, file.memory["trimmed"] - without["trimmed"])

    def _memory(self, file: PartialResult, *, arena: bool) -> dict[str, int]:
        assert file.loaded is not None
        with NetworkWorker(self._settings, file.request) as worker:
            return worker.memory(file.path, file.loaded.size, arena=arena)

    def _measure_speed(self) -> None:
        self._start(estimates.LATENCY)
        self._speed = SpeedMeasurement(self._unbroken(), self._settings, self._advance)
        with self._speed as speed:
            speed.time_latency()
            self._start(estimates.STAGES)
            speed.time_stages()
            for batch in self._settings.batch_sizes:
                self._start(estimates.throughput(batch))
                speed.time_throughput(batch)

    def _score(self) -> None:
        self._start(estimates.ACCURACY)
        for index, file in enumerate(self._files):
            if not file.is_broken:
                self._score_file(file, index)

    def _score_file(self, file: PartialResult, index: int) -> None:
        """Take the known accuracy of a file if it is of the same input size, else measure it."""
        assert file.facts is not None
        assert file.loaded is not None
        engine, scoring = file.loaded.engine, self._settings.scoring
        known = self._settings.known.get((file.facts.digest, engine.provider, engine.arithmetic))
        if known is not None and known.size == file.loaded.size:
            file.accuracy = known
        elif scoring is not None:
            name = file.label

            def on_progress(progress: Progress) -> None:
                fraction = (index + progress.fraction) / len(self._files)
                note = f"{name}, image {progress.done:g} of {progress.total:g}"
                self._schedule.advance(fraction, note)

            with file.recording_failure(), NetworkWorker(self._settings, file.request) as worker:
                worker.load(file.path)
                file.accuracy = worker.evaluate(scoring, on_progress)
