"""Signs of what a sweep concludes: the larger network minus, or divided by, the smaller."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx")

from bench.measure.latency import compare_latency
from bench.measure.result import BenchResult
from bench.sweep.gains import conclude
from bench.sweep.result import SweepNetwork
from tests.support.bench_results import bench_result

SMALL, LARGE = np.linspace(0.30, 0.50, 40), np.linspace(0.34, 0.56, 40)
"""Soft IoU of each image: the large network is better by 0.04 to 0.06."""


def measured(order: tuple[str, ...]) -> BenchResult:
    """Three files in an order: "0" is small and fast, "1" is large and twice as slow."""
    plain = bench_result([(4, 10, 5), (5, 20, 5), (3, 5, 5)])
    models = {}
    for model, each, parameters in zip(
        plain.models, (SMALL, LARGE, SMALL - 0.1), (100, 200, 150), strict=True
    ):
        assert model.accuracy is not None
        accuracy = replace(model.accuracy, per_image_iou=tuple(each), images=40, groups=40)
        models[model.path] = replace(model, accuracy=accuracy, parameters=parameters)
    noise = np.linspace(1.0, 1.2, 20)
    seconds = {"0": 0.010 * noise, "1": 0.020 * noise + np.linspace(0, 0.004, 20), "2": noise}
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    rankings = tuple(compare_latency(a, b, seconds[a], seconds[b]) for a, b in pairs)
    return replace(plain, models=tuple(models[path] for path in order), rankings=rankings)


def network(path: str, width: int | None) -> SweepNetwork:
    return SweepNetwork(path, width is None, "scratch", width, (8, 8), 1, 1)


@pytest.mark.parametrize("order", [("0", "1", "2"), ("1", "2", "0")])
def test_a_gain_is_that_of_the_next_width_whatever_the_order_of_the_files(
    order: tuple[str, ...],
) -> None:
    networks = [network("0", 4), network("1", 8), network("2", None)]
    result = conclude(networks, measured(order), ("a warning",))
    (gain,) = result.gains
    assert (gain.arch, gain.size, gain.width, gain.next_width) == ("scratch", (8, 8), 4, 8)
    assert gain.iou.value == pytest.approx(0.05)
    assert 0.04 < gain.iou.low < 0.05 < gain.iou.high < 0.06
    assert 2.0 < gain.latency.low < gain.latency.value < gain.latency.high < 2.5
    assert result.largest == "1"
    assert set(result.to_largest) == {"0", "2"}
    assert result.to_largest["0"].value == pytest.approx(-0.05)
    assert -0.06 < result.to_largest["0"].low < result.to_largest["0"].high < -0.04
    assert result.to_largest["2"].value == pytest.approx(-0.15)
    assert result.warnings == ("a warning",)
