"""The types in which quantized and half-precision files store, read and compute."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper
from onnxruntime import quantization

from export import inspect
from export.inspection.cli import main
from tests.support.onnx_graphs import FLOAT, Floats, graph_of, normal, saved


class Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.images: Iterator[Floats] = iter(rng.random((4, 1, 3, 32, 32), np.float32))

    def get_next(self) -> dict[str, Floats] | None:
        image = next(self.images, None)
        return None if image is None else {"image": image}


def quantized(model: Path, folder: Path, form: Any, **settings: Any) -> Path:
    path = folder / "quantized.onnx"
    quantization.quantize_static(
        model,
        path,
        Calibration(),
        quant_format=form,
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        **settings,
    )
    return path


def convolutions(folder: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["image", "0.weight", "0.bias"], ["h"], pads=[1] * 4),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "1.weight", "1.bias"], ["y"], group=2),
    ]
    weights = {
        "0.weight": normal(4, 3, 3, 3),
        "0.bias": normal(4),
        "1.weight": normal(6, 2, 3, 3),
        "1.bias": normal(6),
    }
    return saved(graph_of(nodes, {"image": (1, 3, 32, 32)}, ["y"], weights), folder)


@pytest.mark.parametrize("form", list(quantization.QuantFormat))
@pytest.mark.parametrize("whole", [True, False])
def test_an_int8_file_has_the_same_network_in_a_quarter_of_the_bytes(
    form: Any, whole: bool, model: Path, tmp_path: Path
) -> None:
    # ONNX Runtime's own operators for quantized values, which a whole UNet needs in the other
    # format, have shapes that only ONNX Runtime knows.
    source = model if whole else convolutions(tmp_path)
    plain, small = inspect(source).counts, inspect(quantized(source, tmp_path, form)).counts
    if whole and form == quantization.QuantFormat.QOperator:
        assert small.total.parameters == plain.total.parameters
        assert 0 < small.total.macs < plain.total.macs
        assert {u.operator for u in small.uncounted} >= {"com.microsoft:QLinearConcat"}
        assert "macs" in small.total.lower_bounds
        return
    assert small.total.parameters == plain.total.parameters
    assert small.total.macs == plain.total.macs
    assert small.total.lower_bounds == ()
    assert [layer.parameters for layer in small.layers] == [w.parameters for w in plain.layers]
    convs = [layer for layer in small.layers if layer.operator in ("Conv", "QLinearConv")]
    types = {(w.weight_type, w.activation_type, w.arithmetic) for w in convs}
    assert types == {("int8", "int8", "int8")}
    biases = sum(layer.output_shape[1] for layer in convs if layer.output_shape)
    # Kernels take one byte, biases stay at four (int32).
    kernels = sum(layer.parameters for layer in convs) - biases
    assert sum(layer.weight_bytes for layer in convs) == kernels + 4 * biases
    assert small.total.constant_bytes > 0


def test_what_stays_float32_in_an_int8_file_is_shown(model: Path, tmp_path: Path) -> None:
    head = next(n.name for n in onnx.load(model).graph.node if "network.head.weight" in n.input)
    path = quantized(model, tmp_path, quantization.QuantFormat.QDQ, nodes_to_exclude=[head])
    inspection = inspect(path)
    convs = [layer for layer in inspection.counts.layers if layer.operator == "Conv"]
    assert [w.name for w in convs if w.weight_type == "float32"] == ["network.head"]
    operators = {entry.operator: entry for entry in inspection.counts.operators}
    assert operators["Conv"].quantized == operators["Conv"].nodes - 1 > 1
    assert operators["Concat"].quantized == operators["Concat"].nodes == 4
    shown = CliRunner().invoke(main, [str(path)]).output.split("Precision:")[1].split("\n\n")[0]
    assert [line.split()[:4] for line in shown.splitlines()[3:]] == [
        ["int8", "int8", "int8", "22"],
        ["float32", "int8", "float32", "1"],
    ]


def test_integer_operators_are_counted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]
    weights = {"kernel": normal(4, 3, 3, 3), "matrix": normal(6, 7), "bias": normal(7)}
    plain = saved(graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], weights), tmp_path)
    dynamic = tmp_path / "dynamic.onnx"
    quantization.quantize_dynamic(plain, dynamic)
    found = inspect(dynamic).counts
    assert [layer.operator for layer in found.layers] == ["ConvInteger", "MatMulInteger"]
    assert [layer.weight_type for layer in found.layers] == ["int8", "int8"]
    assert [layer.arithmetic for layer in found.layers] == ["uint8", "uint8"]
    expected = inspect(plain).counts
    assert [w.parameters for w in found.layers] == [w.parameters for w in expected.layers]
    assert [w.parameters for w in found.layers] == [108, 49]
    assert [w.macs for w in found.layers] == [w.macs for w in expected.layers]


def test_weights_stored_as_float16_are_reported(model: Path, tmp_path: Path) -> None:
    proto = onnx.load(model)
    casts = []
    for tensor in proto.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(half, f"{tensor.name}.half"))
    for node in reversed(casts):
        proto.graph.node.insert(0, node)
    found, plain = inspect(saved(proto, tmp_path)).counts, inspect(model).counts
    types = {(w.weight_type, w.activation_type, w.arithmetic) for w in found.layers}
    assert types == {("float16", "float32", "float32")}
    assert [w.name for w in found.layers] == [w.name for w in plain.layers]
    assert [w.parameters for w in found.layers] == [w.parameters for w in plain.layers]
    assert found.total.macs == plain.total.macs
    assert 2 * found.total.weight_bytes == plain.total.weight_bytes == 4 * plain.total.parameters
    assert found.total.activation_bytes == plain.total.activation_bytes
