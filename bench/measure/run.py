"""Measuring files: phase after phase, each file in workers of its own.

Where time is measured, files take turns, in each phase. A file that fails is left out of what
follows, with the reason; the others are measured all the same.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure.accuracy import Accuracy
from bench.measure.draft import Draft, describe
from bench.measure.result import BenchResult
from bench.measure.sampling import compare_latency
from bench.measure.stages import example_jpeg
from bench.workers.process import Worker
from runtime.core.errors import MeasurementError
from runtime.core.machine import describe_machine
from runtime.core.schema import from_dict, to_dict
from runtime.data.images import Size
from runtime.model.stopping import StoppingRule
from runtime.model.timing import InterleavedTiming

Listener = Callable[[str, int, int], None]
"""Called with what is being done, and how many steps are done and of how many."""

_PRODUCT_SIDE = 1536
_PHASES = 6
_MODULE = "bench.measure.worker"


@dataclass(frozen=True, slots=True)
class Scoring:
    """The split that accuracy is measured on.

    Attributes:
        size: (height, width) at which masks and probabilities are compared; by default that of
            each network's input.
    """

    data: str
    split: str = "test"
    masks: str = "boxes"
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How files are measured.

    Attributes:
        size: (height, width) of the input; by default what each file states.
        batch_sizes: of the offline scenario.
        rule: when a file's latency has been measured long enough; a larger batch gets half of its
            seconds.
        startups: how often each file is started.
        stage_runs: images whose stages are timed.
        limit_s: seconds without an answer after which a file is given up.
        scoring: None for no accuracy, or only what `known` holds.
        known: accuracy by a file's digest.
    """

    threads: int
    size: Size | None = None
    batch_sizes: tuple[int, ...] = (8,)
    rule: StoppingRule = field(default_factory=StoppingRule)
    startups: int = 3
    stage_runs: int = 10
    limit_s: float = 300.0
    scoring: Scoring | None = None
    known: Mapping[str, Accuracy] = field(default_factory=dict)


class Measurement:
    """A run over files, whose result so far can be asked for at any time."""

    def __init__(
        self, files: Sequence[Path], settings: Settings, listener: Listener = lambda *_: None
    ) -> None:
        self._settings = settings
        self._drafts = [Draft(path) for path in files]
        self._listener = listener
        self._done = 0
        self._product: InterleavedTiming | None = None
        self._date = datetime.now(UTC).isoformat(timespec="seconds")
        self._complete = False

    def run(self) -> BenchResult:
        """Measure every file, and return the result."""
        self._inspect()
        self._start()
        self._weigh()
        self._time()
        self._score()
        self._complete = True
        return self.result()

    def result(self) -> BenchResult:
        """Return what has been measured so far."""
        rate = None
        if self._product is not None and len(seconds := self._product.seconds(-1)):
            rate = _PRODUCT_SIDE**3 / float(np.median(seconds)) / 1e9
        timed = [draft for draft in self._drafts if len(draft.samples(1))]
        return BenchResult(
            machine=describe_machine(),
            models=tuple(describe(draft, rate) for draft in self._drafts),
            date=self._date,
            threads=self._settings.threads,
            rule=self._settings.rule,
            matmul_gmacs_per_s=rate,
            complete=self._complete,
            rankings=tuple(
                compare_latency(str(a.path), str(b.path), a.samples(1), b.samples(1))
                for a, b in combinations(timed, 2)
            ),
        )

    def _sound(self) -> list[Draft]:
        return [draft for draft in self._drafts if not draft.is_broken]

    def _tell(self, label: str, steps: int = 0) -> None:
        self._done += steps
        self._listener(label, self._done, _PHASES * len(self._drafts))

    def _worker(self) -> Worker:
        settings = self._settings
        return Worker(_MODULE, threads=settings.threads, limit_s=settings.limit_s)

    def _load(self, worker: Worker, draft: Draft) -> dict[str, Any]:
        size = self._settings.size
        return worker.ask(
            "load",
            path=str(draft.path),
            size=None if size is None else list(size),
            threads=self._settings.threads,
        )

    def _inspect(self) -> None:
        size = self._settings.size
        for draft in self._drafts:
            self._tell(f"{draft.path.name}: inspect")
            with draft.noting(), self._worker() as worker:
                draft.facts = worker.ask(
                    "inspect", path=str(draft.path), size=None if size is None else list(size)
                )
            self._done += 1

    def _start(self) -> None:
        """Start each file in a process of its own, in turn; the first time fills file caches."""
        for turn in range(1 + self._settings.startups):
            for draft in self._sound():
                self._tell(f"{draft.path.name}: start-up")
                with draft.noting():
                    start = time.perf_counter()
                    with self._worker() as worker:
                        draft.loaded = self._load(worker, draft)
                        worker.ask("predict")
                        elapsed = time.perf_counter() - start
                    if turn:
                        draft.startups.append(elapsed)
        self._done += len(self._drafts)

    def _weigh(self) -> None:
        for draft in self._sound():
            self._tell(f"{draft.path.name}: memory")
            with draft.noting():
                draft.memory = self._phases(draft, arena=True)
                without = self._phases(draft, arena=False)
                if without:
                    draft.memory["peak_without_arena"] = without["peak"]
                if "trimmed" in without:
                    arena = draft.memory["trimmed"] - without["trimmed"]
                    draft.memory["arena"] = max(0, arena)
        self._done += len(self._drafts)

    def _phases(self, draft: Draft, *, arena: bool) -> dict[str, int]:
        with self._worker() as worker:
            return worker.ask(
                "memory",
                path=str(draft.path),
                size=draft.loaded["size"],
                threads=self._settings.threads,
                arena=arena,
            )

    def _time(self) -> None:
        with ExitStack() as stack:
            workers: dict[int, Worker] = {}
            for number, draft in enumerate(self._drafts):
                if not draft.is_broken:
                    with draft.noting():
                        workers[number] = stack.enter_context(self._worker())
                        self._load(workers[number], draft)
                        workers[number].rest()
            if not workers:
                return
            product = stack.enter_context(self._worker())
            self._time_batch(1, workers, product)
            self._time_stages(workers)
            for batch in self._settings.batch_sizes:
                self._time_batch(batch, workers)

    def _time_batch(
        self, batch: int, workers: Mapping[int, Worker], product: Worker | None = None
    ) -> None:
        """Time a batch in turn, beside the matrix product where there is a process for it."""
        numbers = [n for n in workers if self._can_run(self._drafts[n])]
        subjects = [partial(_run_once, workers[number], batch) for number in numbers]
        rule = self._settings.rule
        if product is not None:
            subjects.append(partial(_multiply_once, product))
        else:
            rule = replace(rule, max_seconds=rule.max_seconds / 2)
        timing = InterleavedTiming(subjects, rule)
        if product is not None:
            self._product = timing
        for index, number in enumerate(numbers):
            self._drafts[number].timed[batch] = timing, index
        what = "latency" if batch == 1 else f"throughput at batch {batch}"
        timing.run(lambda progress: self._tell(f"{what}: round {progress.done:.0f}"))
        for index, number in enumerate(numbers):
            if (failure := timing.failure(index)) is not None:
                draft = self._drafts[number]
                draft.failures.append(f"{what}: {failure}")
                draft.is_broken |= batch == 1
        self._done += len(self._drafts) if batch == 1 else 0

    def _can_run(self, draft: Draft) -> bool:
        """Whether nothing has failed in the process that times a file."""
        return not draft.is_broken and all(t.failure(i) is None for t, i in draft.timed.values())

    def _time_stages(self, workers: Mapping[int, Worker]) -> None:
        with tempfile.TemporaryDirectory(prefix="seg-bench-") as folder:
            image = Path(folder) / "scan.jpg"
            image.write_bytes(example_jpeg())
            for _ in range(self._settings.stage_runs):
                for number, worker in workers.items():
                    draft = self._drafts[number]
                    if not draft.is_broken:
                        self._tell(f"{draft.path.name}: stages")
                        with draft.noting():
                            found = worker.ask("stages", image=str(image))
                            draft.stages.append(found["seconds"])
                            worker.rest()
        self._done += len(self._drafts)

    def _score(self) -> None:
        scoring = self._settings.scoring
        for draft in self._sound():
            known = self._settings.known.get(draft.facts["digest"])
            if known is not None and list(known.size) == draft.loaded["size"]:
                draft.accuracy = known
            elif scoring is not None:
                with draft.noting(), self._worker() as worker:
                    self._load(worker, draft)
                    draft.accuracy = self._evaluate(worker, draft.path.name, scoring)
            self._done += 1

    def _evaluate(self, worker: Worker, name: str, scoring: Scoring) -> Accuracy:
        answer = worker.ask("evaluate", **to_dict(scoring))
        while "accuracy" not in answer:
            self._tell(f"{name}: accuracy, image {answer['done']} of {answer['of']}")
            answer = worker.next_answer()
        return from_dict(Accuracy, answer["accuracy"], where=name, error=MeasurementError)


def _run_once(worker: Worker, batch: int) -> float:
    seconds = float(worker.ask("run", batch=batch, untimed=1)["seconds"])
    worker.rest()
    return seconds


def _multiply_once(worker: Worker) -> float:
    seconds = float(worker.ask("multiply", side=_PRODUCT_SIDE)["seconds"])
    worker.rest()
    return seconds
