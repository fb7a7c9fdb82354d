"""ONNX's operators: which of their inputs are parameters, and how often they multiply."""

import math
from dataclasses import dataclass

import onnx

from export.inspection.graph_values import STANDARD, GraphValues
from export.inspection.tensors import Shape, StoredTensor, kind_name


@dataclass(frozen=True, slots=True)
class ParameterInputs:
    """The inputs of an operator that may be parameters, by their positions.

    Attributes:
        weights: the first of them gives a layer its name and its type.
        offset: of the bias, or the offset of a normalization; None where the operator has none.
    """

    weights: tuple[int, ...]
    offset: int | None = None


PARAMETER_INPUTS = {
    "Conv": ParameterInputs((1,), 2),
    "ConvTranspose": ParameterInputs((1,), 2),
    "ConvInteger": ParameterInputs((1,)),
    "QLinearConv": ParameterInputs((3,), 8),
    "Gemm": ParameterInputs((1, 0), 2),
    "com.microsoft:QGemm": ParameterInputs((3, 0), 6),
    "MatMul": ParameterInputs((1, 0)),
    "MatMulInteger": ParameterInputs((1, 0)),
    "QLinearMatMul": ParameterInputs((3, 0)),
    "BatchNormalization": ParameterInputs((1,), 2),
    "GroupNormalization": ParameterInputs((1,), 2),
    "InstanceNormalization": ParameterInputs((1,), 2),
    "LayerNormalization": ParameterInputs((1,), 2),
    "RMSNormalization": ParameterInputs((1,)),
    "PRelu": ParameterInputs((1,)),
    "Gather": ParameterInputs((0,)),
    "LSTM": ParameterInputs((1, 2), 3),
    "GRU": ParameterInputs((1, 2), 3),
    "RNN": ParameterInputs((1, 2), 3),
}
# The positions of the operands.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
_PRODUCTS = {"MatMul": 0, "MatMulInteger": 0, "QLinearMatMul": 0}
_GENERAL = {"Gemm": (0, 1), "com.microsoft:QGemm": (0, 3)}
MULTIPLYING = frozenset({*_CONVOLUTIONS, *_PRODUCTS, *_GENERAL, "ConvTranspose"})
"""Operators whose multiply-accumulates are counted."""
NOT_COUNTED = frozenset({"Attention", "DeformConv", "Einsum", "GRU", "LSTM", "RNN"})
"""Operators whose multiply-accumulates are not counted."""
INTEGER = frozenset(
    {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "com.microsoft:QGemm"}
)
"""Operators that take quantized values directly, without `DequantizeLinear`."""

BEFORE_BIAS = frozenset(
    [
        "Cast",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)
"""Operators that may come between a layer and its bias."""


def operator_name(node: onnx.NodeProto) -> str:
    """Return "Conv" for a standard operator, "domain:Conv" for another."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}:{node.op_type}"


def is_known(node: onnx.NodeProto) -> bool:
    """Return whether a node's operator is ONNX's own, or is counted anyway."""
    return operator_name(node) in PARAMETER_INPUTS or (
        node.domain in STANDARD and bool(onnx.defs.has(node.op_type))
    )


def find_weights(node: onnx.NodeProto, values: GraphValues) -> list[StoredTensor]:
    """Return the parameters among a node's inputs (`export.inspection.counting`)."""
    operator = operator_name(node)
    places = PARAMETER_INPUTS.get(operator, ParameterInputs(()))
    offset = () if places.offset is None else (places.offset,)
    found = []
    for place in (*places.weights, *offset):
        name = node.input[place] if place < len(node.input) else ""
        for tensor in values.sources(name):
            kind = kind_name(values.element_type(name) or tensor.element_type)
            if "float" not in kind and operator not in INTEGER:
                continue
            if operator == "InstanceNormalization" and tensor.holds_only(place == 1):
                continue
            if operator in _PRODUCTS and tensor.is_fixed_matrix():
                continue
            found.append(tensor)
    return found


def has_offset(node: onnx.NodeProto) -> bool:
    """Return whether a node has a bias, or the offset of a normalization, among its inputs."""
    places = PARAMETER_INPUTS.get(operator_name(node))
    at = None if places is None else places.offset
    return at is not None and at < len(node.input) and bool(node.input[at])


def count_node_macs(node: onnx.NodeProto, values: GraphValues) -> int | None:
    """Return the multiply-accumulates of a node in one run.

    0 where it has none, None where they are unknown or not counted.
    """
    operator = operator_name(node)
    if operator in NOT_COUNTED:
        return None
    if operator not in MULTIPLYING:
        return 0
    shapes = [values.shape(name) for name in node.input]
    output = values.shape(node.output[0])
    if operator in _GENERAL:
        return _general(node, *(_at(shapes, place) for place in _GENERAL[operator]))
    if operator in _PRODUCTS:
        # Each value of the output is the sum over the first operand's last axis.
        return _times(output, _at(shapes, _PRODUCTS[operator]), -1)
    if operator == "ConvTranspose":
        # Each value of the input is multiplied by all kernels of its channel ...
        return _times(_at(shapes, 0), _at(shapes, 1), 1)
    # ... each value of the output is the sum over one kernel.
    return _times(output, _at(shapes, _CONVOLUTIONS[operator]), 1)


def _at(shapes: list[Shape | None], place: int) -> Shape | None:
    return shapes[place] if place < len(shapes) else None


def _times(values: Shape | None, operand: Shape | None, axis: int) -> int | None:
    """Return the number of `values` times the size of an operand from an axis on."""
    if values is None or not operand:
        return None
    return math.prod(values) * math.prod(operand[axis:])


def _general(node: onnx.NodeProto, left: Shape | None, right: Shape | None) -> int | None:
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return None
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return math.prod(left) * right[0 if transposed else 1]
