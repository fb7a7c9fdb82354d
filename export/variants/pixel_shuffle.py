"""Transposed convolutions as 1x1 convolutions, which ONNX Runtime can compute in INT8.

A 2x2 transposed convolution of stride 2 computes 2x2 output pixels from each input pixel. It equals
a 1x1 convolution to four times the channels, followed by DepthToSpace
(https://onnx.ai/onnx/operators/onnx__DepthToSpace.html, mode CRD).
"""

import copy

import numpy as np
import onnx
from onnx import helper, numpy_helper

_DOUBLING = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0], "dilations": [1, 1]}


def shuffle_pixels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return an equivalent graph without 2x2 transposed convolutions of stride 2."""
    changed = copy.deepcopy(model)
    graph = changed.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        weight = tensors.get(node.input[1]) if node.op_type == "ConvTranspose" else None
        if weight is None or not _is_doubling(node, weight):
            nodes.append(node)
            continue
        values = numpy_helper.to_array(weight)
        inputs, outputs = values.shape[:2]
        rows = values.transpose(1, 2, 3, 0).reshape(4 * outputs, inputs, 1, 1)
        weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(rows), weight.name))
        if len(node.input) > 2:
            bias = tensors[node.input[2]]
            repeated = np.repeat(numpy_helper.to_array(bias), 4)
            bias.CopyFrom(numpy_helper.from_array(repeated, bias.name))
        layer = node.name.removesuffix("/ConvTranspose")
        quads = f"{node.output[0]}_quads"
        nodes.append(
            helper.make_node("Conv", node.input, [quads], f"{layer}/Conv", kernel_shape=[1, 1])
        )
        nodes.append(
            helper.make_node(
                "DepthToSpace",
                [quads],
                node.output,
                f"{layer}/DepthToSpace",
                blocksize=2,
                mode="CRD",
            )
        )
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(changed, full_check=True)
    return changed


def _is_doubling(node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    stated = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    plain = stated.get("group", 1) == 1 and not any(stated.get("output_padding", ()))
    auto = stated.get("auto_pad", b"NOTSET") == b"NOTSET" and "output_shape" not in stated
    given = {"kernel_shape": list(weight.dims[2:])} | stated
    given.setdefault("strides", [1, 1])
    return plain and auto and all(list(given.get(k, v)) == v for k, v in _DOUBLING.items())
