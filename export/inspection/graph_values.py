"""The values of an ONNX graph: whether they are stored or constant, their type and shape."""

from collections.abc import Iterable

import onnx

from export.inspection.tensors import Shape, StoredTensor, stored_tensors

STANDARD = ("", "ai.onnx")

# Operators that change only the order, the shape or the type of their first input.
_REORDERING = frozenset(
    [
        "Cast",
        "CastLike",
        "DequantizeLinear",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "QuantizeLinear",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)
_COMBINING = {"Add", "Conv", "Div", "Einsum", "Gemm", "MatMul", "Mul", "Sub"}
_LIGHT = 1024


class GraphValues:
    """The values of a graph whose inputs have the sizes that `model` states.

    Shapes come from ONNX's own shape inference, with data propagation. Graphs inside of nodes
    (`If`, `Loop`) and functions of the file are not looked into.

    Attributes:
        stored: the dense tensors in the file, by the value's name.
        constant: the names of values that depend on no input, stored ones included.
        fault: why shapes could not be inferred; None where they could.

    Raises:
        ModelError: a stored tensor has more or fewer elements than its shape says.
    """

    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.stored = {tensor.name: tensor for tensor in stored_tensors(model.graph, where)}
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
        """Return a value's `TensorProto.DataType`, 0 where it is unknown."""
        return self._types.get(name, (0, None))[0]

    def shape(self, name: str) -> Shape | None:
        """Return a value's shape, None where it is unknown."""
        return self._types.get(name, (0, None))[1]

    def sources(self, name: str) -> tuple[StoredTensor, ...]:
        """Return the stored tensors whose numbers a constant value holds.

        A tensor stays the same when it is reordered, reshaped, cast or dequantized. The source of
        a product or a sum of constants is the larger operand, but never a fixed matrix: a 3x3
        kernel times Winograd's matrices is still the kernel. A value expanded from a single number
        has no source.
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


def _infer(
    model: onnx.ModelProto, stored: Iterable[StoredTensor]
) -> tuple[onnx.GraphProto, str | None]:
    """Return the graph with the types and shapes of its values, and the reason for a failure."""
    light = _light_copy(model, stored)
    try:
        return onnx.shape_inference.infer_shapes(light, data_prop=True).graph, None
    except (
        onnx.shape_inference.InferenceError,
        onnx.checker.ValidationError,
        RuntimeError,
        ValueError,
    ) as error:
        return light.graph, " ".join(str(error).split())[:200]


def _light_copy(model: onnx.ModelProto, stored: Iterable[StoredTensor]) -> onnx.ModelProto:
    """Return a copy for shape inference, with only the type and shape of large tensors."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = model.graph
    stated = {entry.domain for entry in model.opset_import}
    for domain in sorted({node.domain for node in graph.node} - stated - set(STANDARD)):
        light.opset_import.add(domain=domain, version=1)
    light.graph.name = "graph"
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    # The shapes that the file states hold for other sizes. They are used only for the outputs of
    # operators that inference does not know.
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
    return light


def _type(value: onnx.ValueInfoProto) -> tuple[int, Shape | None]:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    sides = tensor.shape.dim
    if any(not side.HasField("dim_value") or side.dim_value < 0 for side in sides):
        return tensor.elem_type, None
    return tensor.elem_type, tuple(side.dim_value for side in sides)
