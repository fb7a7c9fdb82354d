"""What a sweep found, and its JSON file."""

from dataclasses import dataclass
from pathlib import Path

from bench.measure.result import BenchResult, ModelResult
from runtime.core.errors import DataError
from runtime.core.json_files import read_json, write_json
from runtime.core.schema import from_dict, to_dict
from runtime.scoring.bootstrap import Interval


@dataclass(frozen=True, slots=True)
class SweepNetwork:
    """A network of a sweep.

    Attributes:
        path: of its file, under which its figures are in the measurement.
        taken: whether the file was given, and not trained by the sweep. The rest is None where such
            a file does not say.
        size: (height, width) of its input.
        epochs, best_epoch: trained, and the one whose weights these are.
    """

    path: str
    taken: bool
    arch: str | None
    width: int | None
    size: tuple[int, ...] | None
    epochs: int | None
    best_epoch: int | None


@dataclass(frozen=True, slots=True)
class Gain:
    """What the next width buys, for one encoder and input size.

    Attributes:
        size: (height, width) of the input.
        iou: soft IoU of the next width minus that of this one, with the paired 95 % interval over
            the test images; that another training run would score otherwise is not in it.
        latency: of the next width divided by that of this one, with the 99 % interval.
    """

    arch: str
    size: tuple[int, ...]
    width: int
    next_width: int
    iou: Interval
    latency: Interval


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The networks of a sweep, measured in one run.

    Attributes:
        networks: trained ones by encoder, size and width, then those that were given.
        largest: path of the network with the most parameters, of those that were scored.
        to_largest: soft IoU minus that of the largest, with the paired 95 % interval, by path.
        gains: from each width to the next.
        warnings: what a reader of the scores should know, a sentence each.
    """

    networks: tuple[SweepNetwork, ...]
    largest: str | None
    to_largest: dict[str, Interval]
    gains: tuple[Gain, ...]
    warnings: tuple[str, ...]
    measured: BenchResult

    def figures(self, network: SweepNetwork) -> ModelResult:
        """Return what was measured of a network."""
        return next(model for model in self.measured.models if model.path == network.path)


def write_sweep(path: Path, result: SweepResult) -> None:
    """Write a result as JSON, NaN and infinity as null. Raises OutputError."""
    write_json(path, to_dict(result))


def read_sweep(path: Path) -> SweepResult:
    """Read what `write_sweep` wrote. Raises DataError where it is something else."""
    content = read_json(path, error=DataError)
    return from_dict(SweepResult, content, where=str(path), error=DataError)
