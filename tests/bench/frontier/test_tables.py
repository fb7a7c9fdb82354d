"""The tables of a measurement: names, gaps and failures."""

import math
from dataclasses import replace

import pytest

from bench.frontier import tables
from bench.measure.result import ModelResult
from runtime.model.provider_choice import ProviderChoice, TriedProvider
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine
from runtime.report.cells import DASH
from tests.support.bench_results import bench_result


def test_file_names_are_short_where_they_are_unique() -> None:
    result = bench_result([(5, 4, 3)] * 3)
    paths = ("runs/a.onnx", "runs/b.onnx", "other/b.onnx")
    models = tuple(replace(m, path=p) for m, p in zip(result.models, paths, strict=True))
    names = tables.short_names(replace(result, models=models))
    assert list(names.values()) == ["a.onnx", "runs/b.onnx", "other/b.onnx"]


@pytest.mark.parametrize(
    "table",
    [tables.frontier_table, tables.latency_table, tables.memory_table, tables.stages_table],
)
def test_a_figure_that_was_not_measured_is_a_dash(table: object) -> None:
    assert callable(table)
    result = replace(bench_result([]), models=(ModelResult("a.onnx", failure="it crashed"),))
    header, (row,) = table(result)
    assert len(row) == len(header)
    assert row[0] == "a.onnx"
    gaps = {str(cell) for cell in row[1:] if cell is not None}
    assert gaps <= {DASH, "not compared"}
    assert tables.failures(result) == ["a.onnx: it crashed"]


def test_rankings_name_both_files_and_the_verdict() -> None:
    header, (row,) = tables.rankings_table(bench_result([(5, 4, 3), (5, 9, 3)], "faster"))
    assert header[-1] == "verdict"
    assert [str(cell) for cell in row] == ["0", "1", "1.000 [0.900, 1.100]", "9", "faster"]


def test_too_few_runs_have_a_dash_for_the_interval_and_the_reason_once() -> None:
    result = bench_result([(5, 4, 3), (5, 9, 3)])
    assert tables.notes(result) == []
    few = [
        replace(m, latency_ms=replace(m.latency_ms, runs=5, low=math.nan, high=math.nan))
        for m in result.models
        if m.latency_ms
    ]
    ratios = [replace(pair, rounds=5, low=math.nan, high=math.nan) for pair in result.rankings]
    result = replace(result, models=tuple(few), rankings=tuple(ratios))
    cells = [str(cell) for row in tables.frontier_table(result)[1] for cell in row]
    cells += [str(cell) for row in tables.rankings_table(result)[1] for cell in row]
    assert not [cell for cell in cells if "nan" in cell]
    assert f"1.000 {DASH}" in cells
    (note,) = tables.notes(result)
    assert "5 runs are too few" in note


def test_the_notes_tell_what_auto_chose_and_which_files_take_no_batches() -> None:
    choice = ProviderChoice(ProviderRequest(), (TriedProvider(ProviderRequest(), 0.0, 2.5),))
    models = (
        ModelResult("a.onnx", request=ProviderRequest("auto"), choice=choice),
        ModelResult("b.onnx", fixed_batch=1),
    )
    assert tables.notes(replace(bench_result([]), models=models)) == [
        "a.onnx (auto): auto chose cpu (cpu 2.50 ms).",
        "b.onnx takes 1 image at a time, and has no throughput of other batches.",
    ]


def test_the_images_behind_the_scores_are_stated_with_their_groups() -> None:
    result = bench_result([(5, 4, 3)])
    (row,) = result.models
    assert row.accuracy is not None
    accuracy = replace(row.accuracy, images=40, groups=40, foreground_images=31)
    found = tables.scored_on(replace(result, models=(replace(row, accuracy=accuracy),)))
    assert found == (
        "d, split test: 40 images, soft IoU over the 31 with foreground, the data set states no "
        "groups of similar images, masks from boxes, compared at 8x8"
    )
    few = "the reason"
    grouped = replace(
        accuracy, foreground_images=40, groups=8, image_groups=tuple(range(8)) * 5, withheld=few
    )
    found = tables.scored_on(replace(result, models=(replace(row, accuracy=grouped),)))
    assert found is not None
    assert "40 images, 8 groups of similar images or of one patient, masks" in found
    assert found.endswith("; no interval, as the reason")
    assert str(tables.iou_cell(replace(row, accuracy=grouped))) == "0.500 (no interval)"


def test_each_engine_is_stated_with_the_rows_that_it_computed_where_there_are_several() -> None:
    cpu = Engine("cpu", "1.0", "cpu", "float32", 2)
    other = Engine("openvino", "2.0", "Xeon", "bf16", 2)
    models = (
        ModelResult("a.onnx", engine=cpu),
        ModelResult("a.onnx", request=ProviderRequest("auto"), engine=cpu),
        ModelResult("a.onnx", request=ProviderRequest("openvino"), engine=other),
    )
    result = replace(bench_result([]), models=models)
    assert (
        "computed by cpu 1.0, float32: a.onnx, a.onnx (auto); "
        "by openvino 2.0 on Xeon, bf16: a.onnx (openvino);"
    ) in tables.conditions(result)
    alone = replace(result, models=models[:2])
    assert "computed by cpu 1.0, float32;" in tables.conditions(alone)
