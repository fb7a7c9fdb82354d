"""What a measurement found, and its JSON file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.measure.accuracy import Accuracy
from bench.measure.sampling import Latency, LatencyRatio
from runtime.core.errors import DataError
from runtime.core.json_files import read_json, write_json
from runtime.core.machine import Machine
from runtime.core.schema import from_dict, to_dict
from runtime.model.stopping import StoppingRule


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one file costs and is worth; None, or no such key, for what was not measured.

    Attributes:
        digest: SHA-256 over everything in the file but its metadata.
        parameters: of the trained network where the file states them, else of the graph.
        macs: multiply-accumulates of the graph, for one image of `size`.
        size: (height, width) of the input.
        providers: of ONNX Runtime.
        latency_ms: of one image at a time, back to back (MLPerf's single stream).
        throughput_per_s: images a second, by the batch's size; "1" is the single stream, larger
            ones are MLPerf's offline scenario.
        stages_ms: medians of `decode`, `resize`, `infer` and `post_process`, for one JPEG.
        memory_bytes: resident after `import`, `session`, `first_run` and when `steady`, and at
            the `peak`, and `trimmed`, without what the C library keeps of what was freed. Apart
            from these: `weights` as the file stores them; `arena`, what ONNX Runtime keeps for the
            next run; and `peak_without_arena`.
        startup_s: median, from the start of a process to the first prediction, files cached.
        gmacs_per_s: billions of multiply-accumulates a second at the median latency.
        matmul_share: that, as a share of this machine's float32 matrix product in the same run.
        failure: why something is missing.
    """

    path: str
    digest: str | None = None
    parameters: int | None = None
    macs: int | None = None
    file_bytes: int | None = None
    size: tuple[int, ...] | None = None
    providers: tuple[str, ...] = ()
    latency_ms: Latency | None = None
    throughput_per_s: dict[str, float] | None = None
    stages_ms: dict[str, float] | None = None
    memory_bytes: dict[str, int] | None = None
    startup_s: float | None = None
    gmacs_per_s: float | None = None
    matmul_share: float | None = None
    accuracy: Accuracy | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Files measured in one run; only what is in one result may be compared.

    Attributes:
        date: when the run began, in UTC (ISO 8601).
        threads: of ONNX Runtime, and of the matrix product.
        matmul_gmacs_per_s: of numpy's float32 matrix product, at its median.
        complete: whether the run came to its end.
        rankings: each pair of files whose latency was measured.
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
    """Write a result as JSON, NaN and infinity as null, and what follows from it beside.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json(path, {**to_dict(result), **conclusions})


def read_result(path: Path) -> BenchResult:
    """Read what `write_result` wrote. Raises DataError where it is something else."""
    content = read_json(path, error=DataError)
    return from_dict(BenchResult, content, where=str(path), error=DataError)
