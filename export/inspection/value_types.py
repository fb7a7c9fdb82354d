"""The types in which a graph reads, computes and passes on values."""

import onnx

from export.inspection.graph_values import GraphValues
from export.inspection.operators import INTEGER, PARAMETER_INPUTS, operator_name
from export.inspection.tensors import bytes_of, kind_name

_QDQ = ("QuantizeLinear", "DequantizeLinear")


class ValueTypes:
    """The types of a graph's values and nodes, quantized or not."""

    def __init__(self, graph: onnx.GraphProto, values: GraphValues) -> None:
        self.values = values
        self.producers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def type_before(self, name: str) -> str:
        """Return a value's type, before `DequantizeLinear`."""
        producer = self.producers.get(name)
        if producer is not None and producer.op_type == "DequantizeLinear" and producer.input:
            name = producer.input[0]
        return kind_name(self.values.element_type(name))

    def is_quantized(self, node: onnx.NodeProto) -> bool:
        """Return whether a node reads quantized values only, apart from biases and shapes."""
        operator = operator_name(node)
        if operator in INTEGER or operator in _QDQ:
            return operator in INTEGER
        places = PARAMETER_INPUTS[operator].weights if operator in PARAMETER_INPUTS else ()
        read = {
            name
            for place, name in enumerate(node.input)
            if name and (place in places or name not in self.values.constant)
        }
        producers = [self.producers.get(name) for name in read]
        return bool(read) and all(p is not None and p.op_type == _QDQ[1] for p in producers)

    def arithmetic(self, node: onnx.NodeProto) -> str:
        """Return the type in which a layer is computed."""
        read = [name for name in node.input if name and name not in self.values.constant][:1]
        if self.is_quantized(node):
            return "".join(self.type_before(name) for name in read)
        return "".join(kind_name(self.values.element_type(name)) for name in read)

    def activation_bytes(self, node: onnx.NodeProto) -> int | None:
        """Return the bytes of a node's output, 0 if it only changes the type, None if unknown."""
        if node.op_type in _QDQ:
            return 0
        total = 0
        for name in filter(None, node.output):
            shape, kind = self.values.shape(name), self.values.element_type(name)
            if shape is None:
                return None
            readers = self.readers.get(name, [])
            quantized = {self.values.element_type(r.output[0]) for r in readers if _quantizes(r)}
            only = name not in self.outputs and all(_quantizes(reader) for reader in readers)
            total += bytes_of(quantized.pop() if quantized and only else kind, shape)
        return total


def _quantizes(node: onnx.NodeProto) -> bool:
    return node.op_type == "QuantizeLinear" and len(node.output) == 1
