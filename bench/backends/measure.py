"""Backends compared in numbers first and then in time, each in a process of its own, in turn."""

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backends.backend import BACKENDS, REFERENCE, Backend, Job
from bench.backends.result import BackendResult, BackendsResult, BackendVerdict
from bench.medians import RANKING_LEVEL, median, verdict_of
from bench.workers.process import Worker
from runtime.core.errors import ConfigError, MeasurementError, ModelError
from runtime.core.machine import describe_machine, installed_versions
from runtime.core.progress import Progress
from runtime.core.schema import to_dict
from runtime.data.images import Size, load_scan, to_input
from runtime.model.golden import golden_scan
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from runtime.model.stopping import Doubles, StoppingRule
from runtime.model.timing import InterleavedTiming

TOLERANCE = 1e-3
"""Of a probability: a quarter of a gray level of 8 bits."""
_MODULE = "bench.backends.worker"
LIMIT_S = 300.0
"""That a backend may take to open a network, conversion included, or for a turn."""

Listener = Callable[[int, int, str], object]


@dataclass(slots=True)
class _Entrant:
    backend: Backend
    job: Job
    digest: str
    worker: Worker | None = None
    reason: str = ""
    difference: float = math.nan
    seconds: Doubles = field(default_factory=lambda: np.empty(0))


def compare_backends(
    model: str | Path,
    *,
    checkpoint: str | Path | None = None,
    size: Size | None = None,
    threads: int | None = None,
    backends: Sequence[Backend] = BACKENDS,
    runs: int = 30,
    seconds: float = 300.0,
    tolerance: float = TOLERANCE,
    limit_s: float = LIMIT_S,
    listener: Listener = lambda done, total, note: None,
    stop: Callable[[], bool] = lambda: False,
) -> BackendsResult:
    """Run the same network in several runtimes, on the same inputs, and time those that agree.

    Each backend's probabilities for a synthetic scan and for noise are compared with those of ONNX
    Runtime before it is timed. In each round every backend runs once, in a random order.
    A backend that is not installed, fails, crashes or gives other numbers is a row with its reason.

    Args:
        checkpoint: a run of `train-unet`, or its `best.pt`, that the file was exported from; for
            PyTorch.
        size: (height, width) of the input; by default what the file states.
        threads: of each backend; by default the cores that the process may use.
        runs: rounds at most.
        seconds: after which no further round begins.
        tolerance: the largest absolute difference of a probability with which a time counts.
        limit_s: seconds that a backend may take for an answer.
        listener: told how many rounds are done, of how many, and what is next.
        stop: asked before each round; where it is True, the result is of those that are done.

    Raises:
        ModelError: the file cannot be run, or ONNX Runtime fails on it, or a backend's own file is
            none.
        ConfigError: a limit is not above 0, the reference is not among the backends, or as
            `Predictor`.
    """
    if runs < 1 or not (seconds > 0.0 and tolerance > 0.0 and limit_s > 0.0):
        raise ConfigError("backends: expected limits above 0")
    if REFERENCE not in [backend.name for backend in backends]:
        raise ConfigError(f"backends: expected {REFERENCE} among them, to compare with")
    # What is no network, or a hostile one, reaches no worker.
    variants = [None if backend.model is None else read_onnx(backend.model) for backend in backends]
    predictor = Predictor(model, size=size, threads=threads)
    file, size, threads = predictor.file, predictor.size, predictor.threads
    del predictor  # its threads and memory are not needed beside the workers'
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backends-")))
        np.save(folder / "inputs.npy", _inputs(size))
        entrants = []
        for number, (backend, variant) in enumerate(zip(backends, variants, strict=True)):
            own = folder / str(number)
            own.mkdir()
            job = Job(
                entry=backend.entry,
                model=str((variant or file).path.resolve()),
                checkpoint=None if checkpoint is None else str(Path(checkpoint).resolve()),
                height=size[0],
                width=size[1],
                threads=threads,
                inputs=str(folder / "inputs.npy"),
                outputs=str(own / "outputs.npy"),
                folder=str(own),
            )
            entrants.append(_Entrant(backend, job, (variant or file).digest))
        (reference,) = (e for e in entrants if e.backend.name == REFERENCE)
        for entrant in [reference, *(e for e in entrants if e is not reference)]:
            listener(0, runs, f"open {entrant.backend.name}")
            _open(entrant, stack, limit_s)
            if reference.reason:
                raise ModelError(f"{model}: {REFERENCE}: {reference.reason}")
            _check(entrant, np.load(reference.job.outputs), tolerance)
        count = sum(entrant.worker is not None for entrant in entrants)
        rule = StoppingRule.exactly(runs, max_seconds=seconds / count)
        rounds, interrupted = _take_turns(entrants, reference, rule, listener, stop)
    return BackendsResult(
        path=str(model),
        digest=file.digest,
        height=size[0],
        width=size[1],
        threads=threads,
        tolerance=tolerance,
        rounds=rounds,
        interrupted=interrupted,
        machine=describe_machine(),
        backends=tuple(_result(entrant, reference) for entrant in entrants),
    )


def _inputs(size: Size) -> NDArray[np.float32]:
    """Return a synthetic scan and noise, float32 [2, 3, H, W].

    A trained network answers noise alone with zeros, which hide what differs.
    """
    inputs = np.empty((2, 3, *size), np.float32)
    to_input(load_scan(golden_scan(size, 0), size).pixels, out=inputs[0])
    inputs[1] = np.random.default_rng(0).random((3, *size), np.float32)
    return inputs


def _open(entrant: _Entrant, stack: ExitStack, limit_s: float) -> None:
    backend = entrant.backend
    missing = [name for name in backend.modules if find_spec(name) is None]
    if missing:
        entrant.reason = f"{missing[0]} is not installed (the extra [{backend.extra}] brings it)"
        return
    job = entrant.job
    worker = stack.enter_context(Worker(_MODULE, threads=job.threads, limit_s=limit_s))
    try:
        worker.ask("open", **to_dict(job))
        worker.rest()
    except MeasurementError as error:
        _leave_out(entrant, worker, str(error))
        return
    entrant.worker = worker


def _leave_out(entrant: _Entrant, worker: Worker, reason: str) -> None:
    worker.close()
    entrant.worker, entrant.reason = None, reason


def _check(entrant: _Entrant, expected: NDArray[np.float32], tolerance: float) -> None:
    worker = entrant.worker
    if worker is None:
        return
    found = np.load(entrant.job.outputs)
    if found.shape != expected.shape:
        shapes = f"expected probabilities {list(expected.shape)}, found {list(found.shape)}"
        _leave_out(entrant, worker, shapes)
        return
    entrant.difference = float(np.abs(found.astype(np.float64) - expected).max())
    if not entrant.difference <= tolerance:  # NaN is not
        _leave_out(entrant, worker, f"other numbers: {tolerance:g} allowed")


def _take_turns(
    entrants: Sequence[_Entrant],
    reference: _Entrant,
    rule: StoppingRule,
    listener: Listener,
    stop: Callable[[], bool],
) -> tuple[int, bool]:
    """Fill in the samples of all backends that take part; return the rounds, and if interrupted."""
    taking_part = [(entrant, worker) for entrant in entrants if (worker := entrant.worker)]
    timing = InterleavedTiming([partial(_turn, worker) for _, worker in taking_part], rule)
    at = [entrant is reference for entrant, _ in taking_part].index(True)
    stopped = False

    def is_over() -> bool:
        nonlocal stopped
        stopped = stop()
        return stopped or timing.failure(at) is not None

    def on_progress(progress: Progress) -> None:
        listener(int(progress.done), rule.max_runs, "in turn")

    listener(0, rule.max_runs, "warm up")
    timing.run(on_progress, stop=is_over)
    for index, (entrant, _) in enumerate(taking_part):
        entrant.seconds = timing.seconds(index)
        entrant.reason = str(timing.failure(index) or "")
    return max(len(entrant.seconds) for entrant, _ in taking_part), stopped


def _turn(worker: Worker) -> float:
    try:
        seconds = float(worker.ask("turn")["seconds"])
    except MeasurementError:
        worker.close()  # else its threads might go on beside the others
        raise
    worker.rest()
    return seconds


def _result(entrant: _Entrant, reference: _Entrant) -> BackendResult:
    own, other = entrant.seconds, reference.seconds
    rounds = 0 if entrant.reason else min(len(own), len(other))
    ratio = median(own[:rounds] / other[:rounds], RANKING_LEVEL)
    verdict: BackendVerdict = "reference" if entrant is reference else verdict_of(ratio)
    versions = installed_versions(*entrant.backend.distributions)
    return BackendResult(
        name=entrant.backend.name,
        digest=entrant.digest,
        versions={
            name: versions[name] for name in entrant.backend.distributions if name in versions
        },
        reason=entrant.reason,
        difference=entrant.difference,
        seconds=tuple(entrant.seconds.tolist()),
        latency_ms=median(own[:rounds] * 1e3),
        ratio=ratio,
        verdict=verdict,
    )
