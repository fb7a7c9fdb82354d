"""What the values of an ONNX graph are: stored in the file, constant, of which type and shape."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from runtime.core.errors import ModelError

Shape = tuple[int, ...]

STANDARD = ("", "ai.onnx")

# Of a constant's first input nothing but the order, the shape or the type changes in these.
_REORDERING = {
    "Cast", "CastLike", "DequantizeLinear", "Flatten", "Gather", "Identity", "Pad",
    "QuantizeLinear", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
_COMBINING = {"Add", "Conv", "Div", "Einsum", "Gemm", "MatMul", "Mul", "Sub"}
_LIGHT = 1024
_MAGNITUDES = 32
_BITS = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8, "STRING": 0, "UNDEFINED": 0}


def kind_name(element_type: int) -> str:
    """Return numpy's name of a `TensorProto.DataType`: "float32" for 1, "float16" for 10."""
    try:
        name = str(onnx.TensorProto.DataType.Name(element_type))
    except ValueError:
        return f"type {element_type}"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def bytes_of(element_type: int, shape: Shape) -> int:
    """Return how many bytes a tensor takes, elements of less than a byte packed."""
    return (math.prod(shape) * _bits(element_type) + 7) // 8


def _bits(element_type: int) -> int:
    try:
        name = onnx.TensorProto.DataType.Name(element_type)
    except ValueError:
        return 0
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else _BITS[name]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the file holds, in an initializer or in a node `Constant`.

    Attributes:
        name: the value's.
        element_type: `TensorProto.DataType`.
    """

    name: str
    element_type: int
    shape: Shape
    tensor: onnx.TensorProto

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def kind(self) -> str:
        """The type's name."""
        return kind_name(self.element_type)

    @property
    def stored_bytes(self) -> int:
        """The bytes of its numbers."""
        return bytes_of(self.element_type, self.shape)

    def holds_only(self, number: float) -> bool:
        """Whether every element is `number`."""
        return bool((numpy_helper.to_array(self.tensor).astype(np.float64) == number).all())

    def is_fixed_matrix(self) -> bool:
        """Whether it is a matrix that somebody wrote down, not one that was learned.

        Those of Winograd's convolution, of an interpolation or a mask hold few numbers many times:
        zero among them, at most 32 magnitudes in all, and at most half as many as elements.
        """
        if sum(side > 1 for side in self.shape) < 2 or not self.kind.startswith("float"):
            return False
        values = numpy_helper.to_array(self.tensor).ravel()
        most = min(_MAGNITUDES, len(values) // 2)
        if len(_magnitudes(values[: 4 * _MAGNITUDES])) > most:  # learned: no need to read it all
            return False
        found = _magnitudes(values)
        return 2 <= len(found) <= most and found[0] == 0.0


def _magnitudes(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.unique(np.abs(values.astype(np.float64)))


class GraphValues:
    """The values of a graph whose inputs have the sizes that `model` states.

    Shapes are those of ONNX's own shape inference, with data propagation. Only the graph itself is
    looked at, not the graphs inside of its nodes (`If`, `Loop`), nor functions of the file.

    Attributes:
        stored: what the file holds, by the value's name; not what it holds as sparse.
        constant: the names of values that no input changes; the stored ones are among them.
        fault: why shapes could not be inferred; None where they could.

    Raises:
        ModelError: a stored tensor has more or fewer elements than its shape says.
    """

    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.stored = {tensor.name: tensor for tensor in _stored(model.graph, where)}
        self.constant = set(self.stored)
        self._sources: dict[str, dict[str, StoredTensor]] = {
            n: {n: s} for n, s in self.stored.items()
        }
        for node in model.graph.node:
            self._follow(node)
        self._types: dict[str, tuple[int, Shape | None]] = {}
        inferred, self.fault = _infer(model, self.stored.values())
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            self._types[value.name] = _type(value)
        self._types |= {n: (s.element_type, s.shape) for n, s in self.stored.items()}

    def element_type(self, name: str) -> int:
        """Return a value's `TensorProto.DataType`, 0 where it is not known."""
        return self._types.get(name, (0, None))[0]

    def shape(self, name: str) -> Shape | None:
        """Return a value's shape, None where it is not known."""
        return self._types.get(name, (0, None))[1]

    def sources(self, name: str) -> tuple[StoredTensor, ...]:
        """Return the stored tensors that a constant value holds the numbers of.

        Reordered, reshaped, cast or dequantized, a tensor stays the same one. Of a product or a sum
        of constants it is the larger operand, a fixed matrix never: what Winograd's matrices do to
        a 3x3 kernel leaves the kernel. A value that is spread from one number holds none.
        """
        return tuple(self._sources.get(name, {}).values())

    def _follow(self, node: onnx.NodeProto) -> None:
        names = [name for name in node.input if name]
        if node.op_type == "CastLike":  # the second input only gives its type
            names = names[:1]
        plain = node.domain in STANDARD and not any(a.HasField("g") for a in node.attribute)
        if not names or not plain or not self.constant.issuperset(names):
            return
        self.constant.update(filter(None, node.output))
        found: dict[str, StoredTensor] = {}
        if node.op_type == "Concat":
            found = {n: s for name in names for n, s in self._sources.get(name, {}).items()}
        elif node.op_type in _REORDERING:
            found = self._sources.get(names[0], {})
        elif node.op_type in _COMBINING:
            candidates = [self._sources.get(name, {}) for name in names]
            learned = [c for c in candidates if not any(s.is_fixed_matrix() for s in c.values())]
            found = max(
                learned or candidates, key=lambda c: sum(s.elements for s in c.values()), default={}
            )
        for name in node.output:
            self._sources[name] = found


def _stored(graph: onnx.GraphProto, where: str) -> Iterable[StoredTensor]:
    for tensor in graph.initializer:
        yield _checked(tensor.name, tensor, where)
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield _checked(node.output[0], attribute.t, where)
                elif attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
                    value = onnx.helper.get_attribute_value(attribute)
                    form = np.float32 if "float" in attribute.name else np.int64
                    tensor = numpy_helper.from_array(np.asarray(value, form), node.output[0])
                    yield _checked(node.output[0], tensor, where)


def _checked(name: str, tensor: onnx.TensorProto, where: str) -> StoredTensor:
    shape = tuple(tensor.dims)
    claimed = bytes_of(tensor.data_type, shape)
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    else:
        fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
        numbers = sum(len(field) for field in (*fields, tensor.uint64_data))
        per_number = 8 if _bits(tensor.data_type) < 8 else _bits(tensor.data_type)
        if kind_name(tensor.data_type).startswith("complex"):
            per_number //= 2
        held = numbers * per_number // 8
    if any(side < 0 for side in shape) or claimed != held:
        raise ModelError(
            f"{where}: expected {claimed} bytes in the tensor {name[:80]!r} of "
            f"{kind_name(tensor.data_type)} {list(shape)}, found {held}"
        )
    return StoredTensor(name, tensor.data_type, shape, tensor)


def _infer(
    model: onnx.ModelProto, stored: Iterable[StoredTensor]
) -> tuple[onnx.GraphProto, str | None]:
    """Return the graph with the types and shapes of its values, and why that failed, if it did.

    Large tensors are left out of what is handed over: their type and shape are enough.
    """
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = model.graph
    stated = {entry.domain for entry in model.opset_import}
    for domain in sorted({node.domain for node in graph.node} - stated - set(STANDARD)):
        light.opset_import.add(domain=domain, version=1)
    light.graph.name = "graph"
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    # What the file says of shapes holds for other sizes; only where inference cannot look inside
    # of an operator it is all that there is.
    opaque = {name for node in graph.node if node.domain not in STANDARD for name in node.output}
    light.graph.value_info.extend(value for value in graph.value_info if value.name in opaque)
    for value in graph.output:
        output = light.graph.output.add(name=value.name)
        output.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    named = {tensor.name for tensor in graph.initializer}
    for tensor in stored:
        if tensor.name in named:
            if tensor.elements <= _LIGHT:
                light.graph.initializer.append(tensor.tensor)
            else:
                light.graph.initializer.add(
                    name=tensor.name, data_type=tensor.element_type, dims=tensor.shape
                )
    try:
        return onnx.shape_inference.infer_shapes(light, data_prop=True).graph, None
    except (
        onnx.shape_inference.InferenceError,
        onnx.checker.ValidationError,
        RuntimeError,
        ValueError,
    ) as error:
        return light.graph, " ".join(str(error).split())[:200]


def _type(value: onnx.ValueInfoProto) -> tuple[int, Shape | None]:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    sides = tensor.shape.dim
    if any(not side.HasField("dim_value") or side.dim_value < 0 for side in sides):
        return tensor.elem_type, None
    return tensor.elem_type, tuple(side.dim_value for side in sides)
