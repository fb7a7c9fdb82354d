"""Weights that lie in other files are found wherever they hide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.core.errors import ModelError
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from tests.runtime.model.test_hostile_onnx import field, network, varint

onnx: Any = pytest.importorskip("onnx")


def outside(name: str = "secret") -> Any:
    """A weight that lies in the file secret.bin."""
    tensor = onnx.TensorProto(name=name, data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def added(*, nodes: tuple[Any, ...] = ()) -> Any:
    """A network that adds the value `secret` to its logits."""
    add = onnx.helper.make_node("Add", ["h", "secret"], ["h2"])
    return network(nodes=(*nodes, add), last="h2")


def an_initializer() -> bytes:
    proto = added()
    proto.graph.initializer.append(outside())
    return bytes(proto.SerializeToString())


def a_sparse_attribute() -> bytes:
    sparse = onnx.SparseTensorProto(dims=[1])
    sparse.values.CopyFrom(outside())
    sparse.indices.CopyFrom(onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0]))
    constant = onnx.helper.make_node("Constant", [], ["secret"])
    attribute = constant.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.CopyFrom(sparse)
    return bytes(added(nodes=(constant,)).SerializeToString())


def a_graph_in_two_parts() -> bytes:
    """Parsers of protobuf merge the two; a reader that takes the last does not see the weight."""
    first = onnx.ModelProto()
    first.graph.name = "g"
    first.graph.initializer.append(outside())
    return bytes(first.SerializeToString() + added().SerializeToString())


def an_overlong_tag() -> bytes:
    """Field 13 in five bytes, of whose 35 bits protobuf's parsers drop the upper three."""
    proto = added()
    entry = outside().external_data[0].SerializeToString()
    tags = [bytes([number << 3 & 127 | wire | 128, 128, 128, 128, 0x70]) for number, wire in
            ((13, 2), (14, 0))]  # fmt: skip
    weight = onnx.TensorProto(name="secret", data_type=1, dims=[1]).SerializeToString()
    weight += tags[0] + varint(len(entry)) + entry + tags[1] + b"\x01"
    graph = proto.graph.SerializeToString() + field(5, weight)
    proto.ClearField("graph")
    return bytes(proto.SerializeToString() + field(7, graph))


@pytest.mark.parametrize(
    "hide", [an_initializer, a_sparse_attribute, a_graph_in_two_parts, an_overlong_tag]
)
def test_weights_in_another_file_are_found_wherever_they_hide(
    tmp_path: Path, hide: Callable[[], bytes]
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hide())
    (tmp_path / "secret.bin").write_bytes(np.full(1, 0.75, np.float32).tobytes())
    import onnxruntime

    # That this is worth a guard: ONNX Runtime would read the file beside.
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": np.zeros((1, 3, 1, 1), np.float32)})
    assert float(output[0, 0, 0, 0]) == pytest.approx(1 / (1 + np.exp(-0.75)))
    with pytest.raises(ModelError, match=r"m\.onnx: expected a"):
        Predictor(path, size=(8, 8), threads=1)


def in_a_node(**attribute: Any) -> bytes:
    """A network with a node that holds an attribute nobody uses."""
    proto = network()
    node = proto.graph.node.add(op_type="Identity", input=["x"], output=["unused"])
    node.attribute.add(name="a", **attribute)
    return bytes(proto.SerializeToString())


def holding(tensor: Any) -> Any:
    return onnx.GraphProto(name="inner", initializer=[tensor])


def sparse(part: str) -> Any:
    proto = onnx.SparseTensorProto(dims=[1])
    getattr(proto, part).CopyFrom(outside())
    return proto


def in_the_graph() -> bytes:
    proto = network()
    proto.graph.sparse_initializer.append(sparse("values"))
    return bytes(proto.SerializeToString())


def in_a_function() -> bytes:
    proto = network()
    function = proto.functions.add(name="f", domain="own")
    node = function.node.add(op_type="Constant", output=["c"])
    node.attribute.add(name="value", t=outside(), type=onnx.AttributeProto.TENSOR)
    return bytes(proto.SerializeToString())


def entries_alone() -> Any:
    """A weight that names a place outside, though it does not say that it lies there."""
    tensor = outside()
    tensor.ClearField("data_location")
    return tensor


def location_alone() -> Any:
    tensor = outside()
    del tensor.external_data[:]
    return tensor


@pytest.mark.parametrize(
    "hide",
    {
        "sparse initializer": in_the_graph,
        "function": in_a_function,
        "t": lambda: in_a_node(t=outside()),
        "tensors": lambda: in_a_node(tensors=[outside()]),
        "g": lambda: in_a_node(g=holding(outside())),
        "graphs": lambda: in_a_node(graphs=[holding(outside())]),
        "sparse_tensor": lambda: in_a_node(sparse_tensor=sparse("values")),
        "sparse_tensors": lambda: in_a_node(sparse_tensors=[sparse("indices")]),
        "entries alone": lambda: in_a_node(t=entries_alone()),
        "location alone": lambda: in_a_node(t=location_alone()),
    }.items(),
    ids=lambda entry: entry[0],
)
def test_each_place_of_a_weight_is_searched(
    tmp_path: Path, hide: tuple[str, Callable[[], bytes]]
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hide[1]())
    with pytest.raises(ModelError, match="found one that points to external data"):
        read_onnx(path)


@pytest.mark.parametrize(("depth", "accepted"), [(16, True), (17, False)])
def test_graphs_are_nested_up_to_16_deep(tmp_path: Path, depth: int, accepted: bool) -> None:
    inner = onnx.GraphProto(name="innermost")
    for _ in range(depth - 1):
        node = onnx.NodeProto(op_type="If", attribute=[onnx.AttributeProto(name="a", g=inner)])
        inner = onnx.GraphProto(name="g", node=[node])
    path = tmp_path / "m.onnx"
    path.write_bytes(in_a_node(g=inner))
    if accepted:
        assert read_onnx(path).opset == 20
    else:
        with pytest.raises(ModelError, match="graphs nested too deep"):
            read_onnx(path)
