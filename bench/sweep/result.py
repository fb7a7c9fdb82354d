"""The result of a sweep, and its JSON file."""

from dataclasses import dataclass
from pathlib import Path

from bench.measure.result import BenchResult, ModelResult
from runtime.core.errors import DataError
from runtime.core.json_files import read_json, write_json
from runtime.core.schema import from_dict, to_dict
from runtime.scoring.intervals import Interval


@dataclass(frozen=True, slots=True)
class SweepNetwork:
    """A network of a sweep.

    Attributes:
        path: of its file, which identifies it in the measurement.
        given: whether the file was given and not trained by the sweep. The other attributes are
            None where such a file does not state them.
        size: (height, width) of the input.
        epochs, best_epoch: number of trained epochs, and the epoch of the exported weights.
    """

    path: str
    given: bool
    arch: str | None
    width: int | None
    size: tuple[int, ...] | None
    epochs: int | None
    best_epoch: int | None


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain and the cost of the next width, for one encoder and input size.

    Attributes:
        size: (height, width) of the input.
        iou: soft IoU of the next width minus that of this one, with the paired 95 % interval over
            the test images. It does not cover the variation between training runs.
        latency: that of the next width divided by that of this one, with the 99 % interval.
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
        networks: trained ones by encoder, size and width, then the given ones.
        largest: path of the scored network with the most parameters.
        to_largest: soft IoU minus that of the largest, with the paired 95 % interval, by path.
        gains: from each width to the next.
        warnings: sentences that a reader of the scores should know.
    """

    networks: tuple[SweepNetwork, ...]
    largest: str | None
    to_largest: dict[str, Interval]
    gains: tuple[Gain, ...]
    warnings: tuple[str, ...]
    measured: BenchResult

    def measurement(self, network: SweepNetwork) -> ModelResult:
        """Return the measurement of a network."""
        return next(model for model in self.measured.models if model.path == network.path)


def write_sweep(path: Path, result: SweepResult) -> None:
    """Write a result as JSON, with null for NaN and infinity.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json(path, to_dict(result))


def read_sweep(path: Path) -> SweepResult:
    """Read the file of `write_sweep`.

    Raises:
        DataError: the file is missing or not the result of a sweep.
    """
    content = read_json(path, error=DataError)
    return from_dict(SweepResult, content, where=str(path), error=DataError)
