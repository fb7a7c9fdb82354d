"""The coordinator's side of a network's process: one method for each request."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure.accuracy import Accuracy
from bench.measure.settings import MeasurementSettings, Scoring
from bench.workers.process import Worker
from runtime.core.errors import MeasurementError
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.schema import from_dict, to_dict
from runtime.model.provider_choice import ProviderChoice
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine

PRODUCT_SIDE = 1536
"""Rows and columns of the matrices whose product is timed."""
_MODULE = "bench.measure.worker"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The figures of a file that need no run.

    Attributes:
        digest: SHA-256 of everything in the file except its metadata.
        file_bytes: size of the file.
        parameters: number of parameters; None if unknown.
        macs: multiply-accumulates for one image; None if unknown.
        weights: bytes of the weights and constants in the file.
        float32: whether all multiply-accumulates are computed in float32.
    """

    digest: str
    file_bytes: int
    parameters: int | None
    macs: int | None
    weights: int
    float32: bool


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """The settings of a network that a process has loaded.

    Attributes:
        size: (height, width) of the input.
        engine: what computes the network.
        open_s: seconds that it took to open the network.
        fixed_batch: images of every run where no other number is taken; else None.
        choice: how the provider "auto" came to it; None for another request.
    """

    size: tuple[int, ...]
    engine: Engine
    open_s: float
    fixed_batch: int | None = None
    choice: ProviderChoice | None = None


class NetworkWorker(Worker):
    """A process that measures one network.

    Every method raises MeasurementError if the network fails, its process crashes, or the answer
    takes too long.

    Args:
        settings: the settings of the measurement.
        request: the provider that computes the network.
    """

    def __init__(self, settings: MeasurementSettings, request: ProviderRequest) -> None:
        super().__init__(_MODULE, threads=settings.threads, limit_s=settings.limit_s)
        self._threads = settings.threads
        self._provider = to_dict(request)
        self._size = None if settings.size is None else list(settings.size)
        self._intensity = settings.intensity
        self._verify = settings.verify

    def inspect(self, path: Path) -> FileFacts:
        """Return the figures of a file that need no run."""
        answer = self.ask("inspect", path=str(path), size=self._size)
        return from_dict(FileFacts, answer, where=str(path), error=MeasurementError)

    def load(self, path: Path, *, batch_size: int = 1) -> LoadedNetwork:
        """Load the network that the other requests run, as `Predictor` with a batch size."""
        answer = self.ask(
            "load",
            path=str(path),
            size=self._size,
            threads=self._threads,
            provider=self._provider,
            batch_size=batch_size,
            intensity=self._intensity,
            verify=self._verify,
        )
        return from_dict(LoadedNetwork, answer, where=str(path), error=MeasurementError)

    def predict(self) -> None:
        """Predict one black image."""
        self.ask("predict")

    def memory(self, path: Path, size: tuple[int, ...], *, arena: bool) -> dict[str, int]:
        """Return resident bytes by phase, as `memory_by_phase`; needs a fresh process."""
        return self.ask(
            "memory",
            path=str(path),
            size=list(size),
            threads=self._threads,
            provider=self._provider,
            arena=arena,
        )

    def time_batch(self, batch: int) -> float:
        """Return the seconds of one run of a batch, after an untimed one, and pause."""
        return self._timed("run", batch=batch)

    def time_product(self) -> float:
        """Return the seconds of one float32 matrix product, after an untimed one, and pause."""
        return self._timed("multiply", side=PRODUCT_SIDE)

    def time_stages(self, image: Path) -> dict[str, float]:
        """Return the seconds of each stage of one prediction, and pause."""
        seconds: dict[str, float] = self.ask("stages", image=str(image))["seconds"]
        self.pause()
        return seconds

    def evaluate(self, scoring: Scoring, on_progress: ProgressCallback) -> Accuracy:
        """Return the accuracy on a split."""
        answer = self.ask("evaluate", **to_dict(scoring))
        while "accuracy" not in answer:
            on_progress(Progress(answer["done"], answer["total"], "accuracy"))
            answer = self.next_answer()
        return from_dict(Accuracy, answer["accuracy"], where="accuracy", error=MeasurementError)

    def _timed(self, command: str, **request: Any) -> float:
        seconds = float(self.ask(command, **request)["seconds"])
        self.pause()
        return seconds
