"""Small ONNX graphs for tests, and their files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT
Floats = NDArray[np.float32]


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


def conv_then(*nodes: onnx.NodeProto, **settings: Any) -> onnx.ModelProto:
    first = helper.make_node("Conv", ["x", "first.weight"], ["h"])
    weights = {"first.weight": normal(4, 3, 3, 3), "last.weight": normal(2, 4, 1, 1)}
    last = helper.make_node("Conv", ["g", "last.weight"], ["y"])
    return graph_of([first, *nodes, last], {"x": (1, 3, 8, 8)}, ["y"], weights, **settings)
