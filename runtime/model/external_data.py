"""Refusing ONNX files whose weights lie in other files, wherever in the graph they are named.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx).
"""

from runtime.core.errors import ModelError
from runtime.model.protobuf import Wire

_MAX_DEPTH = 16

_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE_INITIALIZER = 1, 5, 15
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS = (5, 10)  # t, tensors
_ATTRIBUTE_GRAPHS = (6, 11)  # g, graphs
_ATTRIBUTE_SPARSE_TENSORS = (22, 23)  # sparse_tensor, sparse_tensors
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
_LOCATION_EXTERNAL = 1


def refuse_in_graph(wire: Wire, graph: memoryview, *, depth: int = 0) -> None:
    """Raise ModelError where weights of a graph, or of a graph inside it, lie outside the file.

    Args:
        wire: of the file that holds the graph.
        graph: bytes of a `GraphProto`.
        depth: number of graphs around it.
    """
    if depth > _MAX_DEPTH:
        raise wire.damaged("graphs nested too deep")
    for number, value, _ in wire.fields(graph):
        if number == _GRAPH_NODE:
            _refuse_in_node(wire, wire.message(value), depth)
        elif number == _GRAPH_INITIALIZER:
            _refuse_in_tensor(wire, wire.message(value))
        elif number == _GRAPH_SPARSE_INITIALIZER:
            _refuse_in_sparse_tensor(wire, wire.message(value))


def refuse_in_function(wire: Wire, function: memoryview) -> None:
    """Raise ModelError where weights of a function, a `FunctionProto`, lie outside the file."""
    for number, value, _ in wire.fields(function):
        if number == _FUNCTION_NODE:
            _refuse_in_node(wire, wire.message(value), depth=0)


def _refuse_in_node(wire: Wire, node: memoryview, depth: int) -> None:
    for number, attribute, _ in wire.fields(node):
        if number != _NODE_ATTRIBUTE:
            continue
        for part, content, _ in wire.fields(wire.message(attribute)):
            if part in _ATTRIBUTE_TENSORS:
                _refuse_in_tensor(wire, wire.message(content))
            elif part in _ATTRIBUTE_GRAPHS:
                refuse_in_graph(wire, wire.message(content), depth=depth + 1)
            elif part in _ATTRIBUTE_SPARSE_TENSORS:
                _refuse_in_sparse_tensor(wire, wire.message(content))


def _refuse_in_sparse_tensor(wire: Wire, sparse: memoryview) -> None:
    for _, part, _ in wire.fields(sparse):  # values and indices
        if isinstance(part, memoryview):
            _refuse_in_tensor(wire, part)


def _refuse_in_tensor(wire: Wire, tensor: memoryview) -> None:
    for number, value, _ in wire.fields(tensor):
        is_external = number == _TENSOR_DATA_LOCATION and value == _LOCATION_EXTERNAL
        if number == _TENSOR_EXTERNAL_DATA or is_external:
            raise ModelError(
                f"{wire.path}: expected a file that holds its own weights, found one that points "
                "to external data"
            )
