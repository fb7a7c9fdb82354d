"""How long batches are timed, and the rate of the matrix product beside them."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("onnx")

import bench.measure.client
from bench.measure.client import LoadedNetwork, NetworkWorker
from bench.measure.partial_result import PartialResult
from bench.measure.settings import MeasurementSettings
from bench.measure.speed import SpeedMeasurement
from runtime.core.errors import MeasurementError
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine
from runtime.model.stopping_rule import StoppingRule


class Timing:
    """Stands in for an interleaved timing: each run is carried out once."""

    made: list["Timing"]
    fails: float = 0.0
    """The time of the run that fails."""

    def __init__(self, runs: list[Any], rule: StoppingRule) -> None:
        self.runs, self.rule = runs, rule
        self.took: list[float] = []
        Timing.made.append(self)

    def run(self, _: object) -> None:
        self.took = [run() for run in self.runs]

    def seconds(self, index: int) -> np.ndarray:
        return np.array([self.took[index]])

    def failure(self, index: int) -> MeasurementError | None:
        return MeasurementError("no memory") if self.took[index] == Timing.fails else None


def ignore(_: float, __: str) -> None:
    """Take no notice of what is being measured."""


class Worker:
    """Stands in for a network's process; a batch of n takes n seconds, the product 0.5."""

    def __init__(self, *_: object) -> None:
        self.asked: list[int] = []

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, path: Path, *, batch_size: int = 1) -> LoadedNetwork:
        if path.name == "large.onnx" and batch_size > 1:
            raise MeasurementError("large.onnx: no memory")
        compiled = path.name in ("compiled.onnx", "large.onnx") and batch_size == 1
        batch = 1 if path.name == "single.onnx" or compiled else None
        return LoadedNetwork((8, 8), Engine("cpu", "1", "cpu", "float32", 2), 0.1, batch)

    def pause(self) -> None:
        pass

    def time_batch(self, batch: int) -> float:
        return float(batch)

    def time_product(self) -> float:
        return 0.5


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    Timing.made = []
    monkeypatch.setattr("bench.measure.speed.InterleavedTiming", Timing)
    monkeypatch.setattr("bench.measure.speed.NetworkWorker", cast(type[NetworkWorker], Worker))


@pytest.mark.parametrize(("fails", "broken"), [(1.0, True), (4.0, False)])
def test_a_failure_of_a_single_image_alone_ends_a_files_measurement(
    monkeypatch: pytest.MonkeyPatch, fails: float, broken: bool
) -> None:
    monkeypatch.setattr(Timing, "fails", fails)
    file = PartialResult(Path("a.onnx"))
    with SpeedMeasurement([file], MeasurementSettings(2), ignore) as speed:
        speed.time_latency()
        speed.time_throughput(4)
    assert file.is_broken is broken
    assert "no memory" in str(file.to_result(None).failure)


def test_a_file_for_one_batch_size_has_no_throughput_at_another() -> None:
    files = [PartialResult(Path(name)) for name in ("single.onnx", "any.onnx")]
    with SpeedMeasurement(files, MeasurementSettings(2), ignore) as speed:
        speed.time_latency()
        speed.time_throughput(4)
    assert [sorted(file.timed) for file in files] == [[1], [1, 4]]
    assert [file.to_result(None).fixed_batch for file in files] == [1, None]


def test_what_a_provider_compiled_for_one_image_is_opened_again_for_batches() -> None:
    request = ProviderRequest("openvino")
    names = ("compiled.onnx", "single.onnx", "large.onnx")
    files = [PartialResult(Path(name), request) for name in names]
    with SpeedMeasurement(files, MeasurementSettings(2), ignore) as speed:
        speed.time_latency()
        speed.time_throughput(4)
    assert [sorted(file.timed) for file in files] == [[1, 4], [1], [1]]
    found = [file.to_result(None) for file in files]
    assert [one.fixed_batch for one in found] == [None, 1, 1]
    assert [one.failure for one in found] == [None, None, "throughput at batch 4: no memory"]
    assert not any(file.is_broken for file in files)


def test_batches_get_half_of_the_time_and_the_product_is_timed_beside_single_images() -> None:
    rule = StoppingRule(max_seconds=10.0)
    files = [PartialResult(Path(name)) for name in ("a.onnx", "b.onnx")]
    with SpeedMeasurement(files, MeasurementSettings(2, rule=rule), ignore) as speed:
        assert speed.matmul_gmacs_per_s is None
        speed.time_latency()
        speed.time_throughput(4)
        single, batch = Timing.made
        assert (len(single.runs), len(batch.runs)) == (3, 2)
        assert (single.rule, batch.rule.max_seconds) == (rule, 5.0)
        side = bench.measure.client.PRODUCT_SIDE
        assert speed.matmul_gmacs_per_s == pytest.approx(side**3 / 0.5 / 1e9)
    for file in files:
        assert [file.samples(n).tolist() for n in (1, 4)] == [[1.0], [4.0]]
        assert file.to_result(None).throughput_per_s == {"1": 1.0, "4": 1.0}
