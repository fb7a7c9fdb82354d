import copy
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime import quantization
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export import inspect
from export.conversion import convert, count_macs
from export.inspection.cli import main
from export.inspection.file import Inspection
from runtime.core.errors import ConfigError, ModelError, SegmentationError
from runtime.core.schema import to_dict
from runtime.model.metadata import KEY, InputSpec
from runtime.model.onnx_file import read_onnx
from tests.support.model_builder import ModelBuilder
from tests.support.small_backbones import use_small_backbones
from train.network import UNet

FLOAT = onnx.TensorProto.FLOAT
Floats = NDArray[np.float32]


def randomized(network: nn.Module) -> nn.Module:
    """Numbers as after training: no two tensors are equal, no offset is zero."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.1
    return network.eval()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def fused(network: nn.Module) -> nn.Module:
    """A copy whose normalization PyTorch has folded into the convolutions before it."""
    result = copy.deepcopy(network)
    for module in list(result.modules()):
        children = list(module.named_children())
        for (name, conv), (other, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, other, nn.Identity())
    return result


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    weights: dict[str, NDArray[Any]],
    domains: Sequence[str] = (),
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "graph.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def normal(*shape: int) -> Floats:
    return np.random.default_rng(math.prod(shape)).normal(size=shape).astype(np.float32)


# ----------------------------------------------------------------- against PyTorch's own counts


@pytest.mark.parametrize("arch", ["scratch", "resnet34", "resnet50"])
def test_counts_of_an_exported_network_are_pytorchs(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arch == "resnet34":
        use_small_backbones(monkeypatch)
    network = UNet(arch, 4)
    randomized(network)
    path = saved(convert([network], InputSpec(64, 64, multiple=32)), tmp_path)
    for size in (64, 96):
        total = inspect(path, size=(size, size)).counts.total
        assert total.macs == count_macs(network, size)
        assert total.parameters == parameters(fused(network)) < parameters(network)
        assert total.lower_bounds == ()


def test_counts_of_a_transformer_are_pytorchs_but_for_the_tables_that_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_backbones(monkeypatch)
    network = UNet("swin", 4)
    randomized(network)
    path = saved(convert([network], InputSpec(64, 64)), tmp_path)
    total = inspect(path, size=(64, 64)).counts.total
    assert total.macs == count_macs(network, 64)
    # Of a window of 7x7 the network holds 13x13 relative positions a head, and looks them up for
    # 49x49 pairs; the exporter stores what was looked up.
    tables = [p for n, p in network.named_parameters() if "relative_position_bias_table" in n]
    assert {len(table) for table in tables} == {13 * 13}
    more = sum((49 * 49 - 13 * 13) * table.shape[1] for table in tables)
    assert total.parameters == parameters(fused(network)) + more


class Mixed(nn.Module):
    """Layers of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, bias=False)
        self.batch = nn.BatchNorm2d(8)
        self.group = nn.GroupNorm(4, 8)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.plain = nn.InstanceNorm2d(8)
        self.slope = nn.PReLU(8)
        self.wide = nn.Conv2d(8, 16, 3, groups=4, dilation=2)
        self.up = nn.ConvTranspose2d(16, 12, 3, stride=2, groups=2, dilation=2)
        self.linear = nn.Linear(12, 5)
        self.layer = nn.LayerNorm(5)
        self.again = nn.Linear(5, 5, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        hidden = self.group(self.batch(self.stem(image)))
        hidden = self.up(self.wide(self.slope(self.plain(self.instance(hidden)))))
        hidden = self.layer(self.linear(hidden.permute(0, 2, 3, 1)))
        return self.again(self.again(hidden))  # type: ignore[no-any-return]


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize("make", [Mixed, lambda: UNet("scratch", 2)])
@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_is_not_folded_holds_every_parameter(
    make: Any, optimized: bool, tmp_path: Path
) -> None:
    network = randomized(make())
    program = torch.onnx.export(
        network, (torch.rand(1, 3, 32, 32),), dynamo=True, opset_version=20, verbose=False,
        external_data=False, optimize=optimized,
    )  # fmt: skip
    assert program is not None
    folded = not any(
        node.op_type == "BatchNormalization" for node in program.model_proto.graph.node
    )
    assert folded is optimized
    total = inspect(saved(program.model_proto, tmp_path)).counts.total
    assert total.parameters == parameters(fused(network) if folded else network)
    if "macs" in total.lower_bounds:  # the shapes of an unfolded GroupNorm are computed in it
        assert isinstance(network, Mixed)
        assert not folded
        assert total.macs < count_macs(network, 32)
    else:
        assert total.macs == count_macs(network, 32)


# ------------------------------------------------------------------------------- by brute force


@st.composite
def single_layers(draw: st.DrawFn) -> tuple[onnx.ModelProto, int, bool]:
    """A graph of one layer without padding, its parameters, and whether it has a bias."""
    side = st.integers(1, 3)
    kind = draw(st.sampled_from(["Conv", "ConvTranspose", "Gemm", "MatMul"]))
    biased = draw(st.booleans()) and kind != "MatMul"
    names = ["x", "w", "b"] if biased else ["x", "w"]
    settings: dict[str, Any] = {}
    if kind in ("Conv", "ConvTranspose"):
        dimensions = draw(st.integers(1, 3))
        groups, inside, outside = draw(side), draw(side), draw(side)
        kernel = [draw(side) for _ in range(dimensions)]
        settings = {
            "group": groups,
            "strides": [draw(side) for _ in kernel],
            "dilations": [draw(side) for _ in kernel],
        }
        field = [(k - 1) * d + 1 for k, d in zip(kernel, settings["dilations"], strict=True)]
        shape = [draw(side), groups * inside, *(f + draw(st.integers(0, 4)) for f in field)]
        first, second = (outside * groups, inside) if kind == "Conv" else (groups * inside, outside)
        weight, channels = [first, second, *kernel], outside * groups
    elif kind == "Gemm":
        rows, inner, channels = draw(side), draw(side), draw(side)
        settings = {"transA": draw(st.integers(0, 1)), "transB": draw(st.integers(0, 1))}
        shape = [inner, rows] if settings["transA"] else [rows, inner]
        weight = [channels, inner] if settings["transB"] else [inner, channels]
    else:
        inner, channels = draw(side), draw(side)
        batch = draw(st.lists(side, max_size=2))
        shape = [*draw(st.lists(st.just(1), max_size=2)), *batch, draw(side), inner]
        weight = [*draw(st.sampled_from([[], batch])), inner, channels]
    weights = {"w": np.ones(weight, np.float32)}
    if biased:
        weights["b"] = np.zeros(channels, np.float32)
    node = helper.make_node(kind, names, ["y"], name="layer", **settings)
    return (
        graph_of([node], {"x": shape}, ["y"], weights),
        sum(value.size for value in weights.values()),
        biased,
    )


@settings(deadline=None, max_examples=150)
@given(single_layers())
def test_macs_are_as_many_as_a_layer_adds_up(
    tmp_path_factory: pytest.TempPathFactory, layer: tuple[onnx.ModelProto, int, bool]
) -> None:
    model, held, _ = layer
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = np.ones(session.get_inputs()[0].shape, np.float32)
    # Of ones, every multiply-accumulate adds one to the output's sum.
    (output,) = session.run(None, {"x": image})
    path = saved(model, tmp_path_factory.mktemp("layer"))
    (found,) = inspect(path).counts.layers
    assert found.macs == round(float(output.astype(np.float64).sum()))
    assert found.parameters == held
    assert found.output_shape == output.shape
    assert found.activation_bytes == output.nbytes
    assert found.weight_bytes == 4 * held


# ----------------------------------------------------------------------------------- precision


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
        model, path, Calibration(), quant_format=form, per_channel=True,
        weight_type=quantization.QuantType.QInt8, **settings,
    )  # fmt: skip
    return path


def convolutions(folder: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["image", "0.weight", "0.bias"], ["h"], pads=[1] * 4),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "1.weight", "1.bias"], ["y"], group=2),
    ]
    weights = {
        "0.weight": normal(4, 3, 3, 3), "0.bias": normal(4),
        "1.weight": normal(6, 2, 3, 3), "1.bias": normal(6),
    }  # fmt: skip
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


def test_weights_stored_as_float16_are_told(model: Path, tmp_path: Path) -> None:
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


# ----------------------------------------------------------------------- what is a parameter

WINOGRAD = {  # F(2x2, 3x3) of Lavin and Gray 2016
    "B.T": np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32),
    "G": np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32),
    "A.T": np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32),
}


def winograd(tiles: int, inputs: int, outputs: int) -> onnx.ModelProto:
    """A 3x3 convolution of tiles of 4x4 pixels as Winograd computes it."""
    node = helper.make_node
    weights: dict[str, NDArray[Any]] = {
        "kernel": normal(outputs, inputs, 3, 3),
        "bias": normal(outputs, 1, 1),
        "16, O, I": np.array([16, outputs, inputs]),
        "16, I, N": np.array([16, inputs, tiles]),
        "4, 4, O, N": np.array([4, 4, outputs, tiles]),
    }
    for name, matrix in WINOGRAD.items():
        weights |= {name: matrix, f"{name}.T": np.ascontiguousarray(matrix.T)}
    nodes = [
        node("MatMul", ["G", "kernel"], ["G g"]),
        node("MatMul", ["G g", "G.T"], ["G g G.T"]),
        node("Transpose", ["G g G.T"], ["kernel last"], perm=[2, 3, 0, 1]),
        node("Reshape", ["kernel last", "16, O, I"], ["U"]),
        node("MatMul", ["B.T", "x"], ["B.T d"]),
        node("MatMul", ["B.T d", "B.T.T"], ["B.T d B"]),
        node("Transpose", ["B.T d B"], ["tiles last"], perm=[2, 3, 1, 0]),
        node("Reshape", ["tiles last", "16, I, N"], ["V"]),
        node("MatMul", ["U", "V"], ["M"]),
        node("Reshape", ["M", "4, 4, O, N"], ["M 4x4"]),
        node("Transpose", ["M 4x4"], ["m"], perm=[3, 2, 0, 1]),
        node("MatMul", ["A.T", "m"], ["A.T m"]),
        node("MatMul", ["A.T m", "A.T.T"], ["A.T m A"]),
        node("Add", ["A.T m A", "bias"], ["y"]),
    ]
    return graph_of(nodes, {"x": (tiles, inputs, 4, 4)}, ["y"], weights)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 5), (8, 4)])
def test_the_matrices_of_winograds_convolution_are_no_parameters(
    inputs: int, outputs: int, tmp_path: Path
) -> None:
    tiles = 6
    model = winograd(tiles, inputs, outputs)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    images = normal(tiles, inputs, 4, 4)
    convolution = nn.functional.conv2d(
        torch.from_numpy(images),
        torch.from_numpy(normal(outputs, inputs, 3, 3)),
        torch.from_numpy(normal(outputs, 1, 1).ravel()),
    )
    np.testing.assert_allclose(session.run(None, {"x": images})[0], convolution, atol=1e-4)
    counts = inspect(saved(model, tmp_path)).counts
    assert counts.total.parameters == 9 * inputs * outputs + outputs
    (product,) = [layer for layer in counts.layers if layer.parameters]
    assert product.parameters == counts.total.parameters
    assert product.macs == tiles * 16 * inputs * outputs
    transforms = tiles * (inputs * 2 * 4**3 + outputs * (2 * 4 * 4 + 2 * 4 * 2))
    assert counts.total.macs == product.macs + transforms


def test_a_learned_matrix_is_a_parameter_however_small(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "one"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["zero", "r"], ["y"]),
    ]
    weights = {"one": normal(4, 4), "zero": np.zeros((4, 4), np.float32)}
    counts = inspect(saved(graph_of(nodes, {"x": (1, 4, 4)}, ["y"], weights), tmp_path)).counts
    assert counts.total.parameters == 32


def test_a_shared_weight_counts_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "shared.weight"], ["h"], name="first", pads=[1] * 4),
        helper.make_node("Conv", ["h", "shared.weight"], ["y"], name="second", pads=[1] * 4),
    ]
    model = graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], {"shared.weight": normal(3, 3, 3, 3)})
    counts = inspect(saved(model, tmp_path)).counts
    assert [(w.name, w.parameters, w.shared_parameters) for w in counts.layers] == [
        ("shared", 81, 0),
        ("second", 0, 81),
    ]
    assert counts.total.parameters == 81
    assert counts.total.macs == 2 * 81 * 64
    assert counts.total.weight_bytes == 4 * 81


def test_weights_in_constant_nodes_count_as_in_initializers(model: Path, tmp_path: Path) -> None:
    proto = onnx.load(model)
    for tensor in proto.graph.initializer:
        proto.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del proto.graph.initializer[:]
    found, expected = inspect(saved(proto, tmp_path)).counts, inspect(model).counts
    assert found.total == expected.total
    assert found.layers == expected.layers


def test_layers_have_the_networks_names(model: Path) -> None:
    names = [layer.name for layer in inspect(model).counts.layers]
    assert names[0] == "network.encoder.levels.0.0"
    assert names[-1] == "network.head"
    assert len(set(names)) == len(names) == 23


# ------------------------------------------------------------------------- odd and hostile files


def conv_then(*nodes: onnx.NodeProto, **settings: Any) -> onnx.ModelProto:
    first = helper.make_node("Conv", ["x", "first.weight"], ["h"])
    weights = {"first.weight": normal(4, 3, 3, 3), "last.weight": normal(2, 4, 1, 1)}
    last = helper.make_node("Conv", ["g", "last.weight"], ["y"])
    return graph_of([first, *nodes, last], {"x": (1, 3, 8, 8)}, ["y"], weights, **settings)


def branch(name: str) -> onnx.GraphProto:
    node = helper.make_node("Identity", ["h"], [name])
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])


FUNCTION = helper.make_function(
    "own", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="own")],
    [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)],
)  # fmt: skip
HIDDEN = {
    "custom": (
        conv_then(helper.make_node("Warp", ["h"], ["g"], name="odd", domain="acme")),
        "a custom operator, not looked into",
    ),
    "unknown": (
        conv_then(helper.make_node("NoSuchOperator", ["h"], ["g"], name="odd")),
        "a custom operator, not looked into",
    ),
    "like a convolution": (
        conv_then(helper.make_node("Conv", ["h", "last.weight"], ["g"], name="odd", domain="acme")),
        "a custom operator, not looked into",
    ),
    "If": (
        conv_then(
            helper.make_node("ReduceMax", ["h"], ["m"], keepdims=0),
            helper.make_node("Cast", ["m"], ["c"], to=onnx.TensorProto.BOOL),
            helper.make_node(
                "If", ["c"], ["g"], name="odd", then_branch=branch("s"), else_branch=branch("t")
            ),
        ),
        "holds a graph of its own, not looked into",
    ),
    "a recursive function": (
        conv_then(
            helper.make_node("F", ["h"], ["g"], name="odd", domain="own"),
            domains=["own"],
            functions=[FUNCTION],
        ),
        "a function of the file, not looked into",
    ),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_is_not_looked_into_is_told_and_totals_are_lower_bounds(
    kind: str, tmp_path: Path
) -> None:
    model, reason = HIDDEN[kind]
    path = saved(model, tmp_path)
    counts = inspect(path).counts
    (odd,) = [entry for entry in counts.uncounted if entry.name == "odd"]
    assert odd.reason == reason
    assert set(counts.total.lower_bounds) >= {"parameters", "macs", "weight_bytes"}
    assert counts.total.parameters == 108 + 8
    assert counts.layers[0].macs == 108 * 36
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 0, result.output
    assert "  at least 116 parameters\n" in result.output
    assert reason in result.output


def test_layers_of_unknown_shape_are_named(tmp_path: Path) -> None:
    # The number of values that are not zero is only known once they are.
    model = conv_then(
        helper.make_node("NonZero", ["h"], ["n"]),
        helper.make_node("Shape", ["n"], ["s"]),
        helper.make_node("Slice", ["s", "1", "2"], ["count"]),
        helper.make_node("Concat", ["1", "4", "count", "1"], ["sides"], axis=0),
        helper.make_node("ConstantOfShape", ["sides"], ["g"]),
    )
    for name, value in (("1", 1), ("2", 2), ("4", 4)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    path = saved(model, tmp_path)
    counts = inspect(path).counts
    assert [(layer.name, layer.macs) for layer in counts.layers] == [
        ("first", 108 * 36),
        ("last", None),
    ]
    assert [(u.name, u.reason) for u in counts.uncounted] == [
        ("last", "has shapes that inference does not find")
    ]
    assert counts.total.lower_bounds == ("macs", "activation_bytes")
    output = CliRunner().invoke(main, [str(path)]).output
    assert "  116 parameters\n  at least 3,888 multiply-accumulates" in output
    assert "last (Conv): has shapes that inference does not find" in output


def test_sizes_that_are_only_claimed_cost_nothing(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = graph_of([node], {"x": (1 << 40, 1 << 20, 4)}, ["y"], {"w": normal(4, 5)})
    layer = inspect(saved(model, tmp_path)).counts.layers[0]
    assert layer.macs == (1 << 60) * 20  # beyond 64 bits
    model.graph.initializer[0].dims[0] = 1 << 40
    with pytest.raises(
        ModelError, match=r"graph\.onnx: damaged tensor 'w' of .* expected 21990232555520 bytes"
    ):
        inspect(saved(model, tmp_path))


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "missing", "folder"])
def test_what_is_no_onnx_file_ends_in_one_sentence(
    damage: str, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    content = {"text": b"hello", "cut": model.read_bytes()[:-100], "empty": b""}
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[damage])
    earlier = tmp_path / "earlier.json"
    earlier.write_text("an earlier result")
    result = CliRunner().invoke(main, [str(path), "--json", str(earlier)])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {path}: expected a")
    assert result.output.count("\n") == 1
    assert earlier.read_text() == "an earlier result"


def test_weights_in_other_files_are_refused(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "external.onnx", external=True)
    with pytest.raises(ModelError, match="expected a file that holds its own weights"):
        inspect(path, size=(8, 8))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(HIDDEN["If"][0].SerializeToString())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "damaged.onnx"
    path.write_bytes(content)
    with suppress(SegmentationError):
        assert json.dumps(to_dict(inspect(path)))


# ------------------------------------------------------------------------------------- the size


def test_a_file_of_other_origin_needs_a_size(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "foreign.onnx")
    with pytest.raises(ModelError, match=r"does not state the input's size; give --size"):
        inspect(path)
    inspection = inspect(path, size=(8, 16))
    assert inspection.counted_at[0].shape == (1, 3, 8, 16)
    assert inspection.inputs[0].shape == ("batch", 3, "height", "width")
    assert inspection.counts.total.macs == 3 * 8 * 16
    with pytest.raises(ConfigError, match=r"foreign\.onnx: expected a height and width"):
        inspect(path, size=(0, 8))
    result = CliRunner().invoke(main, [str(path), "--size", "8"])
    assert result.exit_code == 0, result.output
    assert "192 multiply-accumulates" in result.output
    assert "ertificate" not in result.output


def test_a_size_that_a_network_cannot_take_is_refused(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    assert CliRunner().invoke(main, [str(model), "--size", "33"]).exit_code == 2
    fixed = build_onnx(tmp_path / "fixed.onnx", shape=(2, 3, 8, 8))
    with pytest.raises(
        ConfigError, match="the input 'pixels' has a fixed side: expected 8, found 16"
    ):
        inspect(fixed, size=(16, 16))
    assert inspect(fixed).counts.total.macs == 2 * 3 * 8 * 8
    vector = graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 4)}, ["y"], {})
    with pytest.raises(ConfigError, match="no input is an image, so that no size can be chosen"):
        inspect(saved(vector, tmp_path), size=(16, 16))
    assert inspect(saved(vector, tmp_path)).counts.total.activation_bytes == 16


def test_channels_may_come_last(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["h"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["h", "w"], ["y"]),
    ]
    model = graph_of(nodes, {"x": ("n", "h", "w", 3)}, ["y"], {"w": normal(4, 3, 1, 1)})
    assert inspect(saved(model, tmp_path), size=(8, 16)).counts.total.macs == 12 * 8 * 16


# ---------------------------------------------------------------------------------- the command


def test_everything_is_shown_and_in_the_json(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = CliRunner().invoke(main, [str(model), "--json", str(report)])
    assert result.exit_code == 0, result.output
    inspection = inspect(model)
    assert isinstance(inspection, Inspection)
    assert json.loads(report.read_text()) == json.loads(json.dumps(to_dict(inspection)))
    file = read_onnx(model)
    assert (inspection.digest, inspection.metadata) == (file.digest, file.metadata)
    metadata = file.metadata
    assert metadata is not None
    assert metadata.training is not None
    assert metadata.parity is not None
    assert inspection.counts.total.macs == metadata.network.macs
    for expected in (
        file.digest, "opset 20", "IR version 10", "made by seg-toolkit",
        "'image' float32 [batch, 3, height, width]", "32x32; other sizes in multiples of 16",
        "scratch of width 4", metadata.training.data_name, "network.decoder.0.up",
        f"{inspection.counts.total.parameters:,} parameters",
        f"the trained network: {metadata.network.parameters:,}; fewer are left because batch norm",
        f"{metadata.network.macs:,} multiply-accumulates", "ConvTranspose",
        *(f"  {name}: " for name in to_dict(metadata.parity)),
    ):  # fmt: skip
        assert expected in result.output


def test_names_from_a_file_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    name = "\x1b[2J" + "x" * 1000
    model = conv_then(helper.make_node("Warp", ["h"], ["g"], name=name, domain="acme\n"))
    model.graph.node[0].name, model.graph.initializer[0].name = name, "kernel"
    model.graph.node[0].input[1] = "kernel"
    path = saved(model, tmp_path)
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "acme\\n:Warp" in result.output
    assert max(len(line) for line in result.output.splitlines()) < 250
    assert inspect(path).counts.layers[0].name == name


def test_metadata_from_a_file_stays_in_its_lines(model: Path, tmp_path: Path) -> None:
    changed = onnx.load(model)
    (entry,) = (entry for entry in changed.metadata_props if entry.key == KEY)
    document = json.loads(entry.value)
    text = "scans\nError: \x1b[2Jall is well\r"
    document["training"]["data_name"] = document["parity"]["images_from"] = text
    entry.value = json.dumps(document)
    result = CliRunner().invoke(main, [str(saved(changed, tmp_path))])
    assert result.exit_code == 0, result.output
    assert result.output.count("scans\\nError: \\x1b[2Jall is well\\r") == 2
    assert all(line.isprintable() for line in result.output.split("\n"))


def test_inspecting_loads_no_pytorch(model: Path) -> None:
    code = (
        "import sys\nfrom export import inspect\n"
        f"inspect({str(model)!r})\nprint('torch' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_without_onnx_the_command_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(main, [str(model)])
    assert result.exit_code == 2
    assert "onnx is not installed: run pip install '.[export]'" in result.output
