"""How long batches are timed, and the rate of the matrix product beside them."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("onnx")

from bench.measure.client import PRODUCT_SIDE, LoadedNetwork, NetworkWorker
from bench.measure.partial_result import PartialResult
from bench.measure.settings import MeasurementSettings
from bench.measure.speed import SpeedMeasurement
from runtime.model.sessions import Engine
from runtime.model.stopping_rule import StoppingRule


class Timing:
    """Stands in for an interleaved timing: each run is carried out once."""

    made: list["Timing"]

    def __init__(self, runs: list[Any], rule: StoppingRule) -> None:
        self.runs, self.rule = runs, rule
        self.took: list[float] = []
        Timing.made.append(self)

    def run(self, _: object) -> None:
        self.took = [run() for run in self.runs]

    def seconds(self, index: int) -> np.ndarray:
        return np.array([self.took[index]])

    def failure(self, _: int) -> None:
        return None


class Worker:
    """Stands in for a network's process; a batch of n takes n seconds, the product 0.5."""

    def __init__(self, *_: object) -> None:
        self.asked: list[int] = []

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, _: Path) -> LoadedNetwork:
        return LoadedNetwork((8, 8), Engine("cpu", "1", "cpu", "float32", 2), 0.1)

    def pause(self) -> None:
        pass

    def time_batch(self, batch: int) -> float:
        return float(batch)

    def time_product(self) -> float:
        return 0.5


def test_batches_get_half_of_the_time_and_the_product_is_timed_beside_single_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Timing.made = []
    monkeypatch.setattr("bench.measure.speed.InterleavedTiming", Timing)
    monkeypatch.setattr("bench.measure.speed.NetworkWorker", cast(type[NetworkWorker], Worker))
    rule = StoppingRule(max_seconds=10.0)
    files = [PartialResult(Path(name)) for name in ("a.onnx", "b.onnx")]
    notes: list[str] = []
    with SpeedMeasurement(files, MeasurementSettings(2, rule=rule), notes.append) as speed:
        assert speed.matmul_gmacs_per_s is None
        speed.time_latency()
        speed.time_throughput(4)
        single, batch = Timing.made
        assert (len(single.runs), len(batch.runs)) == (3, 2)
        assert (single.rule, batch.rule.max_seconds) == (rule, 5.0)
        assert speed.matmul_gmacs_per_s == pytest.approx(PRODUCT_SIDE**3 / 0.5 / 1e9)
    for file in files:
        assert [file.samples(n).tolist() for n in (1, 4)] == [[1.0], [4.0]]
        assert file.to_result(None).throughput_per_s == {"1": 1.0, "4": 1.0}
