"""The figures of a file from its raw samples."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

pytest.importorskip("onnx")

from bench.measure.client import FileFacts, LoadedNetwork
from bench.measure.partial_result import PartialResult
from runtime.core.errors import MeasurementError
from runtime.model.sessions import Engine
from runtime.model.timing import InterleavedTiming


class Timing:
    """Stands in for a timing that has taken these seconds."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = np.array(seconds)

    def seconds(self, index: int) -> np.ndarray:
        assert index == 1
        return self._seconds

    def failure(self, index: int) -> None:
        assert index == 1


def timed(*seconds: float) -> tuple[InterleavedTiming, int]:
    return cast(InterleavedTiming, Timing(*seconds)), 1


CPU_ENGINE = Engine("cpu", "1.32", "cpu", "float32", threads=2)


@pytest.fixture
def file() -> PartialResult:
    return PartialResult(
        Path("net.onnx"),
        facts=FileFacts(
            "digest",
            file_bytes=900,
            parameters=20,
            macs=3_000_000_000,
            weights=80,
            float32=True,
        ),
        loaded=LoadedNetwork((64, 32), CPU_ENGINE, 0.25),
        startups=[0.5, 0.9, 0.6],
        openings=[0.1, 0.3, 0.2],
        memory={"peak": 1000, "arena": 30},
        timed={1: timed(0.1, 0.2, 0.6), 4: timed(0.5, 1.5)},
        stages=[{"decode": 0.001, "infer": 0.2}, {"decode": 0.004, "infer": 0.1},
                {"decode": 0.002, "infer": 0.4}],
    )  # fmt: skip


def test_each_figure_follows_from_its_samples(file: PartialResult) -> None:
    result = file.to_result(matmul_gmacs_per_s=60.0)
    assert (result.path, result.digest, result.failure) == ("net.onnx", "digest", None)
    assert (result.parameters, result.macs, result.file_bytes) == (20, 3_000_000_000, 900)
    assert (result.size, result.engine) == ((64, 32), CPU_ENGINE)
    assert result.latency_ms is not None
    assert (result.latency_ms.p50, result.latency_ms.mean) == pytest.approx((200.0, 300.0))
    assert result.throughput_per_s == pytest.approx({"1": 3 / 0.9, "4": 8 / 2.0})
    assert result.stages_ms == pytest.approx({"decode": 2.0, "infer": 200.0})
    assert result.memory_bytes == {"peak": 1000, "arena": 30, "weights": 80}
    assert result.startup_s == 0.6
    assert result.gmacs_per_s == pytest.approx(15.0)  # 3 GMAC in 0.2 s
    assert result.matmul_share == pytest.approx(0.25)


def test_only_a_float32_file_is_related_to_the_float32_product(file: PartialResult) -> None:
    assert file.facts is not None
    file.facts = replace(file.facts, float32=False)
    result = file.to_result(matmul_gmacs_per_s=60.0)
    assert result.gmacs_per_s == pytest.approx(15.0)
    assert result.matmul_share is None


def test_what_was_not_measured_is_none() -> None:
    result = PartialResult(Path("net.onnx")).to_result(None)
    figures = (
        result.digest, result.macs, result.latency_ms, result.throughput_per_s, result.stages_ms,
        result.memory_bytes, result.startup_s, result.gmacs_per_s, result.matmul_share,
    )  # fmt: skip
    assert figures == (None,) * 9


def test_a_failure_is_stated_without_the_files_name_and_ends_the_measurement(
    file: PartialResult,
) -> None:
    assert file.can_be_timed
    with file.recording_failure():
        raise MeasurementError("net.onnx: no memory")
    file.add_failure(MeasurementError("too slow"), label="latency")
    assert file.is_broken
    assert not file.can_be_timed
    assert file.to_result(None).failure == "no memory; latency: too slow"
