"""The time of single convolutions in float32 and in INT8, on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.conversion import OPSET
from runtime.data.orientation import Size
from runtime.model.sessions import open_session
from runtime.model.timing import time_interleaved, timed

_WARM_UP, _RUNS = 2, 8


@dataclass(frozen=True, slots=True)
class LayerSpeed:
    """The shortest of a layer's runs in each precision, in milliseconds.

    The conversion of its input and output to other layers' precision is not included.
    """

    float_ms: float
    int8_ms: float


def measure_layers(
    model: onnx.ModelProto, layers: Sequence[onnx.NodeProto], size: Size, *, threads: int
) -> dict[str, LayerSpeed]:
    """Time convolutions of a graph for one image of (height, width) `size`, by their names.

    Equal layers are timed once, both precisions interleaved.
    """
    shapes = _shapes(model, size)
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    known: dict[tuple[object, ...], LayerSpeed] = {}
    found = {}
    for layer in layers:
        weight, shape = weights[layer.input[1]], shapes[layer.input[0]]
        signature = (
            *weight,
            *shape,
            *(attribute.SerializeToString() for attribute in layer.attribute),
        )
        if signature not in known:
            known[signature] = _measure(layer, weight, shape, threads)
        found[layer.name] = known[signature]
    return found


def _shapes(model: onnx.ModelProto, size: Size) -> dict[str, list[int]]:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    (image,) = fixed.graph.input
    for side, length in zip(image.type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        side.dim_value = length
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    values = (image, *inferred.graph.value_info)
    return {v.name: [side.dim_value for side in v.type.tensor_type.shape.dim] for v in values}


def _measure(
    layer: onnx.NodeProto, weight: list[int], shape: list[int], threads: int
) -> LayerSpeed:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape, np.uint8)
    runs = [
        timed(partial(open_session(content, threads=threads).run, None, {"x": image}))
        for content, image in (
            (_float_layer(layer, weight, rng), pixels.astype(np.float32)),
            (_int8_layer(layer, weight, rng), pixels),
        )
    ]
    samples = time_interleaved(runs, _RUNS, warm_up_rounds=_WARM_UP)
    return LayerSpeed(*(1e3 * float(seconds.min()) for seconds in samples))


def _float_layer(layer: onnx.NodeProto, weight: list[int], rng: np.random.Generator) -> bytes:
    values = rng.normal(size=weight).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    node.attribute.extend(layer.attribute)
    return _model([node], [numpy_helper.from_array(values, "w")], TensorProto.FLOAT)


def _int8_layer(layer: onnx.NodeProto, weight: list[int], rng: np.random.Generator) -> bytes:
    node = helper.make_node("Conv", ["real_x", "real_w"], ["real_y"])
    node.attribute.extend(layer.attribute)
    outputs = np.full(weight[0], 0.01, np.float32)
    constants = {
        "w": rng.integers(-64, 64, weight, np.int8),
        "w_scale": outputs,
        "w_zero": np.zeros(weight[0], np.int8),
        "scale": np.float32(0.01),
        "zero": np.uint8(0),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["real_x"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["real_w"], axis=0),
        node,
        helper.make_node("QuantizeLinear", ["real_y", "scale", "zero"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    return _model(nodes, tensors, TensorProto.UINT8)


def _model(nodes: list[onnx.NodeProto], tensors: list[TensorProto], kind: int) -> bytes:
    x, y = (helper.make_tensor_value_info(name, kind, [None] * 4) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "layer", [x], [y], tensors)
    opset = helper.make_opsetid("", OPSET)
    content: bytes = helper.make_model(
        graph, opset_imports=[opset], ir_version=10
    ).SerializeToString()
    return content
