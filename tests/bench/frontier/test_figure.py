"""The figure of a comparison: its names, and its axes."""

from dataclasses import replace

import pytest

pytest.importorskip("matplotlib")

from bench.frontier.figure import frontier_figure
from runtime.model.providers import ProviderRequest
from tests.support.bench_results import bench_result


@pytest.mark.usefixtures("no_layout")
def test_rounding_errors_of_soft_iou_are_not_magnified_and_names_are_those_of_the_tables() -> None:
    result = bench_result([(5, 4, 3), (5, 9, 3)])
    cpu, other = result.models
    assert other.accuracy is not None
    iou = 0.5 + 1e-8
    accuracy = replace(other.accuracy, iou=iou, iou_low=iou, iou_high=iou)
    openvino = ProviderRequest("openvino")
    models = (
        replace(cpu, path="nets/a.onnx"),
        replace(other, path="nets/a.onnx", request=openvino, accuracy=accuracy),
    )
    figure = frontier_figure(replace(result, models=models, rankings=()))
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((0.495, 0.505), abs=1e-6)
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["a.onnx", "a.onnx (openvino)"]
