"""The result of a measurement, and its JSON file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from bench.measure.accuracy import Accuracy
from bench.measure.latency import Latency, LatencyRatio
from runtime.core.errors import DataError
from runtime.core.json_files import read_json, write_json
from runtime.core.machine import Machine
from runtime.core.schema import from_dict, to_dict
from runtime.model.provider_choice import ProviderChoice
from runtime.model.providers import CPU, ProviderRequest
from runtime.model.sessions import Engine
from runtime.model.stopping_rule import StoppingRule


@dataclass(frozen=True, slots=True)
class ModelResult:
    """Accuracy and cost of one file on one provider.

    A figure that was not measured is None, or its key missing.

    Attributes:
        path: the file.
        digest: SHA-256 of everything in the file except its metadata.
        parameters: number of parameters of the trained network if the file states it, else of the
            graph.
        macs: multiply-accumulates of the graph, for one image of `size`.
        file_bytes: size of the file.
        size: (height, width) of the input.
        request: the execution provider that was asked for.
        engine: what computed the network; None if it was not loaded, and in old results.
        choice: how the provider "auto" came to it; None for another request.
        fixed_batch: the only number of images that the graph takes at once; None for any.
        open_s: median time to open the network, in which a provider may compile it.
        latency_ms: latency of one image at a time, back to back (MLPerf's single stream).
        throughput_per_s: images per second, by batch size. "1" is the single stream; larger batches
            are MLPerf's offline scenario.
        stages_ms: medians of `decode`, `resize`, `infer` and `post_process`, for one JPEG.
        memory_bytes: resident bytes by the phases of `memory_by_phase`. Besides, `weights` is their
            size in the file, `arena` the memory that ONNX Runtime holds for the next run, and
            `peak_without_arena` the peak when it holds none.
        startup_s: median time from the start of a process to its first prediction, with the files
            in the cache of the system.
        gmacs_per_s: billions of multiply-accumulates per second at the median latency.
        matmul_share: `gmacs_per_s` relative to the float32 matrix product in the same run; None for
            a file that computes in another type, such as INT8.
        accuracy: scores on a split.
        failure: why figures are missing; None if nothing failed.
    """

    path: str
    digest: str | None = None
    parameters: int | None = None
    macs: int | None = None
    file_bytes: int | None = None
    size: tuple[int, ...] | None = None
    request: ProviderRequest = field(default_factory=ProviderRequest)
    engine: Engine | None = None
    choice: ProviderChoice | None = None
    fixed_batch: int | None = None
    open_s: float | None = None
    latency_ms: Latency | None = None
    throughput_per_s: dict[str, float] | None = None
    stages_ms: dict[str, float] | None = None
    memory_bytes: dict[str, int] | None = None
    startup_s: float | None = None
    gmacs_per_s: float | None = None
    matmul_share: float | None = None
    accuracy: Accuracy | None = None
    failure: str | None = None

    @property
    def name(self) -> str:
        """The path, and the provider where it is not plain "cpu"; unique in a result."""
        return row_name(self.path, self.request)


def row_name(path: str, request: ProviderRequest) -> str:
    """Return the name of a file on a provider.

    Example:
        >>> row_name("a.onnx", ProviderRequest()), row_name("a.onnx", ProviderRequest("openvino"))
        ('a.onnx', 'a.onnx (openvino)')
    """
    return path if request.label == CPU else f"{path} ({request.label})"


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Files measured in one run. Figures of different runs must not be compared.

    Attributes:
        machine: the machine that it ran on.
        models: one result for each file and provider.
        date: start of the run in UTC (ISO 8601).
        threads: number of threads of ONNX Runtime and of the matrix product.
        rule: the rule that ended the timing.
        matmul_gmacs_per_s: rate of numpy's float32 matrix product at its median time.
        complete: whether the run was not interrupted.
        rankings: latency ratios of all pairs of files whose latency was measured.
    """

    machine: Machine
    models: tuple[ModelResult, ...]
    date: str
    threads: int
    rule: StoppingRule
    matmul_gmacs_per_s: float | None
    complete: bool
    rankings: tuple[LatencyRatio, ...]


def write_result(
    path: Path, result: BenchResult, conclusions: Mapping[str, object] = MappingProxyType({})
) -> None:
    """Write a result as JSON, with NaN and infinity as null.

    Args:
        path: the file to write.
        result: the result.
        conclusions: further keys of the JSON object.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json(path, {**to_dict(result), **conclusions})


def interrupted_file(path: Path) -> Path:
    """Return the file for the result of an interrupted run, which replaces no complete one.

    Example:
        >>> interrupted_file(Path("bench.json")).name
        'bench-interrupted.json'
    """
    return path.with_name(f"{path.stem}-interrupted{path.suffix}")


def read_result(path: Path) -> BenchResult:
    """Read a file that `write_result` wrote.

    Raises:
        DataError: the file cannot be read, or is not such a file.
    """
    content = read_json(path, error=DataError)
    return from_dict(BenchResult, content, where=str(path), error=DataError)
