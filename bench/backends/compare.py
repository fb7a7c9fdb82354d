"""A comparison of backends: first their numbers, then their times, interleaved.

Each backend runs in a process of its own.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.backends.backend import BACKENDS, REFERENCE, Backend, BackendLimits, OpenRequest
from bench.backends.candidate import Candidate
from bench.backends.result import BackendComparison
from runtime.core.errors import ConfigError, ModelError
from runtime.core.machine import describe_machine
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.images import load_scan
from runtime.data.orientation import Size
from runtime.data.resizing import to_input
from runtime.model.golden import golden_scan
from runtime.model.onnx_file import OnnxFile, read_onnx
from runtime.model.predictor import Predictor
from runtime.model.stopping_rule import StoppingRule
from runtime.model.timing import InterleavedTiming


def compare_backends(
    model: str | Path,
    *,
    checkpoint: str | Path | None = None,
    size: Size | None = None,
    threads: int | None = None,
    backends: Sequence[Backend] = BACKENDS,
    limits: BackendLimits | None = None,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> BackendComparison:
    """Run a network in several backends on the same inputs, and time those whose numbers agree.

    The probabilities of each backend for a synthetic scan and for noise are compared with ONNX
    Runtime's. In each round every backend runs once, in a random order. A backend that is not
    installed, fails, crashes or gives different numbers is in the result with the reason.

    Args:
        model: the ONNX file.
        checkpoint: the run of `train-unet`, or its `best.pt`, that the file was exported from. Only
            PyTorch needs it.
        size: (height, width) of the input; by default as stated in the file.
        threads: number of threads of each backend; by default the cores the process may use.
        backends: the backends, ONNX Runtime among them.
        limits: rounds, time and tolerance; by default those of `BackendLimits`.
        on_progress: called before each backend opens and after each round.
        stop: asked before each round. If it returns True, the result has the rounds so far.

    Raises:
        ModelError: ONNX Runtime cannot run the file, or a variant's file is not an ONNX file.
        ConfigError: the reference is not among the backends, or as `Predictor`.
    """
    limits = limits or BackendLimits()
    report = on_progress or _ignore
    variants = _read_variants(backends)
    predictor = Predictor(model, size=size, threads=threads)
    file, size, threads = predictor.file, predictor.size, predictor.threads
    del predictor  # frees its threads and memory for the workers
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backends-")))
        np.save(folder / "inputs.npy", _inputs(size))
        candidates = [
            _candidate(backend, variant or file, checkpoint, size, threads, folder / str(number))
            for number, (backend, variant) in enumerate(zip(backends, variants, strict=True))
        ]
        (reference,) = (c for c in candidates if c.backend.name == REFERENCE)
        _open(candidates, reference, limits, report, stack)
        if reference.reason:
            raise ModelError(f"{model}: {REFERENCE} cannot run it: {reference.reason}")
        rounds, interrupted = _time(candidates, reference, limits, report, stop)
    return BackendComparison(
        path=str(model),
        digest=file.digest,
        height=size[0],
        width=size[1],
        threads=threads,
        tolerance=limits.tolerance,
        rounds=rounds,
        interrupted=interrupted,
        machine=describe_machine(),
        backends=tuple(candidate.result(reference) for candidate in candidates),
    )


def _ignore(_: Progress) -> None:
    pass


def _read_variants(backends: Sequence[Backend]) -> list[OnnxFile | None]:
    """Return the file of each backend that has its own.

    An invalid or hostile file is refused here, before a worker opens it.
    """
    if REFERENCE not in [backend.name for backend in backends]:
        raise ConfigError(f"backends: {REFERENCE} is missing, which the others are compared with")
    return [read_onnx(backend.model) if backend.model else None for backend in backends]


def _candidate(
    backend: Backend,
    file: OnnxFile,
    checkpoint: str | Path | None,
    size: Size,
    threads: int,
    folder: Path,
) -> Candidate:
    """Return a backend with its request; `folder` is its own, the inputs lie in its parent."""
    folder.mkdir()
    request = OpenRequest(
        entry=backend.entry,
        model=str(file.path.resolve()),
        checkpoint=None if checkpoint is None else str(Path(checkpoint).resolve()),
        height=size[0],
        width=size[1],
        threads=threads,
        inputs=str(folder.parent / "inputs.npy"),
        outputs=str(folder / "outputs.npy"),
        folder=str(folder),
    )
    return Candidate(backend, request, file.digest)


def _inputs(size: Size) -> NDArray[np.float32]:
    """Return a synthetic scan and noise, float32 [2, 3, H, W].

    A trained network answers noise with zeros almost everywhere, which would hide differences.
    """
    inputs = np.empty((2, 3, *size), np.float32)
    to_input(load_scan(golden_scan(size, 0), size).pixels, out=inputs[0])
    inputs[1] = np.random.default_rng(0).random((3, *size), np.float32)
    return inputs


def _open(
    candidates: Sequence[Candidate],
    reference: Candidate,
    limits: BackendLimits,
    report: ProgressCallback,
    stack: ExitStack,
) -> None:
    """Open the reference, then the other backends, and compare their numbers with it."""
    for candidate in [reference, *(c for c in candidates if c is not reference)]:
        report(Progress(0, limits.runs, "open", f"open {candidate.backend.name}"))
        candidate.open(stack, limits.limit_s)
        if reference.reason:
            return
        candidate.check(np.load(reference.request.outputs), limits.tolerance)


def _time(
    candidates: Sequence[Candidate],
    reference: Candidate,
    limits: BackendLimits,
    report: ProgressCallback,
    stop: Callable[[], bool],
) -> tuple[int, bool]:
    """Fill in the samples of every open backend.

    Returns:
        The number of rounds, and whether the timing was interrupted.
    """
    timed = [candidate for candidate in candidates if candidate.worker is not None]
    rule = StoppingRule.exactly(limits.runs, max_seconds=limits.seconds / len(timed))
    timing = InterleavedTiming([candidate.time_run for candidate in timed], rule)
    stopped = False

    def is_over() -> bool:
        nonlocal stopped
        stopped = stop()
        return stopped or timing.failure(timed.index(reference)) is not None

    report(Progress(0, limits.runs, "warm-up", "warm-up"))
    timing.run(report, stop=is_over)
    for index, candidate in enumerate(timed):
        candidate.seconds = timing.seconds(index)
        candidate.reason = str(timing.failure(index) or "")
    return max(len(candidate.seconds) for candidate in timed), stopped
