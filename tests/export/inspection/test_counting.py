"""Counts against PyTorch's own, against sums of ones, and by the rules for parameters."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from onnx import helper
from torch import nn

from export import inspect
from export.conversion import count_macs
from tests.support.conversions import ENSEMBLE, Conversions
from tests.support.onnx_graphs import graph_of, normal, saved
from tests.support.quick_conversion import fused


def randomized(network: nn.Module) -> nn.Module:
    """Numbers as after training: no two tensors are equal, no offset is zero."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.1
    return network.eval()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", ["scratch", ENSEMBLE])
def test_counts_of_an_exported_network_are_pytorchs(
    name: str, conversions: Conversions, tmp_path: Path
) -> None:
    networks, graph = conversions[name]
    path = saved(graph, tmp_path)
    for size in (64, 96):
        total = inspect(path, size=(size, size)).counts.total
        assert total.macs == sum(count_macs(network, size) for network in networks)
        held = [(parameters(fused(network)), parameters(network)) for network in networks]
        assert total.parameters == sum(after for after, _ in held)
        assert all(after < before for after, before in held)
        assert total.lower_bounds == ()


def test_counts_of_a_transformer_are_pytorchs_but_for_the_tables_that_are_written_out(
    conversions: Conversions, tmp_path: Path
) -> None:
    (network,), graph = conversions["swin"]
    total = inspect(saved(graph, tmp_path), size=(64, 64)).counts.total
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


@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_is_not_folded_holds_every_parameter(tmp_path: Path) -> None:
    network = randomized(Mixed())
    program = torch.onnx.export(
        network,
        (torch.rand(1, 3, 32, 32),),
        dynamo=True,
        opset_version=20,
        verbose=False,
        external_data=False,
        optimize=False,
    )
    assert program is not None
    total = inspect(saved(program.model_proto, tmp_path)).counts.total
    assert total.parameters == parameters(network)
    # The shapes of an unfolded GroupNorm are computed in it.
    assert "macs" in total.lower_bounds
    assert total.macs < count_macs(network, 32)
    program.optimize()
    operators = {node.op_type for node in program.model_proto.graph.node}
    assert "BatchNormalization" not in operators
    total = inspect(saved(program.model_proto, tmp_path)).counts.total
    assert total.parameters == parameters(fused(network)) < parameters(network)
    assert total.macs == count_macs(network, 32)


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
