"""ONNX files that ask for more than they hold, or for what is not theirs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.core.errors import ModelError
from runtime.model import protobuf
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from tests.support.memory_bound import bounded

onnx: Any = pytest.importorskip("onnx")


def network(*, nodes: tuple[Any, ...] = (), last: str = "h", domain: str = "", **more: Any) -> Any:
    """A 1x1 convolution and a sigmoid, with `nodes` between that end in `last`."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = onnx.numpy_helper.from_array(np.zeros((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["h"]),
            *nodes,
            helper.make_node("Sigmoid", [last], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", kind, more.get("output", ["n", 1, "h", "w"]))],
        [weights],
    )
    opsets = [helper.make_opsetid("", 20)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_a_graph_of_ten_million_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = network()
    graph = proto.graph.SerializeToString() + b"\x0a\x00" * 10_000_000
    proto.ClearField("graph")
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString() + field(7, graph))
    with pytest.raises(ModelError, match=r"m\.onnx: .* more than 262144 fields"):
        read_onnx(path)
    monkeypatch.setattr(protobuf, "MAX_FIELDS", 1 << 14)  # tracing the memory of all takes seconds
    with bounded(), pytest.raises(ModelError, match=r"m\.onnx: .* more than 16384 fields"):
        read_onnx(path)


def test_metadata_and_names_beyond_their_bound(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    plain = network().SerializeToString()
    entry = field(1, b"segmentation") + field(2, b"[" + b"[]," * (1 << 20) + b"1]")
    path.write_bytes(plain + field(14, entry))
    with bounded(), pytest.raises(ModelError, match=r"found a text of 3145731 bytes"):
        read_onnx(path)
    other = field(1, b"notes") + field(2, bytes(protobuf.MAX_TEXT_BYTES + 1))
    path.write_bytes(plain + field(14, other))
    assert read_onnx(path).metadata is None


@pytest.mark.parametrize("domain", ["", "elsewhere"])
def test_a_custom_operator(tmp_path: Path, domain: str) -> None:
    node = onnx.helper.make_node("Own", ["h"], ["h2"], domain=domain)
    path = tmp_path / "m.onnx"
    path.write_bytes(network(nodes=(node,), last="h2", domain=domain).SerializeToString())
    with pytest.raises(ModelError, match=r"m\.onnx: ONNX Runtime cannot load it"):
        Predictor(path, size=(8, 8), threads=1)


def test_an_output_of_another_size_than_stated(tmp_path: Path) -> None:
    pool = onnx.helper.make_node("AveragePool", ["h"], ["h2"], kernel_shape=[2, 2], strides=[2, 2])
    path = tmp_path / "m.onnx"
    path.write_bytes(network(nodes=(pool,), last="h2").SerializeToString())
    predictor = Predictor(path, size=(8, 8), threads=1)
    message = r"m\.onnx: expected an output of \[1, 1, 8, 8\], found \[1, 1, 4, 4\]"
    with pytest.raises(ModelError, match=message):
        predictor(np.zeros((8, 8, 3), np.uint8))
