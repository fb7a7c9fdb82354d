import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from runtime.core.errors import ModelError
from runtime.model.metadata import KEY
from runtime.model.onnx_file import read_onnx, read_parts
from tests.support.model_builder import ModelBuilder

onnx = pytest.importorskip("onnx")


def test_it_reads_what_onnx_reads(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "m.onnx", shape=("batch", 3, 64, "width"))
    file = read_onnx(path)
    proto = onnx.load(path)
    for found, expected in zip(
        (*file.inputs, *file.outputs), (*proto.graph.input, *proto.graph.output), strict=True
    ):
        tensor = expected.type.tensor_type
        assert found.name == expected.name
        assert found.element_type == tensor.elem_type
        assert found.shape == tuple(
            side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim
        )
    assert file.opset == proto.opset_import[0].version
    assert file.file_bytes == path.stat().st_size
    assert file.metadata is None


def test_an_exported_file_states_its_metadata(model: Path) -> None:
    file = read_onnx(model)
    assert file.metadata is not None
    assert file.metadata.network.arch == "scratch"
    assert [info.name for info in file.inputs] == ["image"]
    assert [info.name for info in file.outputs] == ["probability"]


def test_the_digest_covers_all_but_the_metadata(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    plain = build_onnx(tmp_path / "plain.onnx")
    noted = build_onnx(tmp_path / "noted.onnx", metadata={"author": "somebody"})
    other = build_onnx(tmp_path / "other.onnx", activation="Relu")
    assert read_onnx(plain).digest == hashlib.sha256(plain.read_bytes()).hexdigest()
    assert read_onnx(plain).digest == read_onnx(noted).digest
    assert read_onnx(plain).digest != read_onnx(other).digest


def test_external_data_is_refused(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "m.onnx", external=True)
    with pytest.raises(ModelError, match=r"m\.onnx: .*holds its own weights.*external data"):
        read_onnx(path)


def test_external_data_in_a_node_of_a_subgraph_is_refused(tmp_path: Path) -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    value = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [1])
    branch = onnx.helper.make_graph([constant], "branch", [], [value])
    node = onnx.helper.make_node("If", ["x"], ["c"], then_branch=branch, else_branch=branch)
    condition = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.BOOL, [])
    proto = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [condition], [value]))
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="external data"):
        read_onnx(path)


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_a_cut_file_is_refused(model: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"cut\.onnx: expected a complete ONNX file"):
        read_onnx(path)


@pytest.mark.parametrize("content", [b"", b"no protobuf at all, but a text", b"\x00" * 64])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx: expected a.* ONNX file"):
        read_onnx(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_onnx(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="expected an ONNX file, found a folder"):
        read_onnx(tmp_path)


def test_what_cannot_be_an_onnx_file_is_named(tmp_path: Path) -> None:
    empty, pipe, large = (tmp_path / f"{name}.onnx" for name in ("empty", "pipe", "large"))
    empty.touch()
    os.mkfifo(pipe)
    with large.open("wb") as stream:
        stream.truncate(3 << 30)  # with no blocks on the disk
    for path, words in (
        (empty, "an ONNX file, found an empty file"),
        (pipe, "an ONNX file, found a pipe or a device"),
        (Path("/dev/null"), "an ONNX file, found a pipe or a device"),
        (large, "an ONNX file of up to 2147483648 bytes, found 3221225472"),
    ):
        with pytest.raises(ModelError, match=f"{path.name}: expected {words}"):
            read_onnx(path)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "JSON nested deeper"),
        ("[]", "expected metadata of version 2, found None"),
        ('{"schema": "3.0"}', "expected metadata of version 2, found '3.0'"),
        ('{"schema": "2.7"}', "missing field 'name'"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused(
    build_onnx: ModelBuilder, tmp_path: Path, document: str, message: str
) -> None:
    path = build_onnx(tmp_path / "m.onnx", metadata={KEY: document})
    with pytest.raises(ModelError, match=message):
        read_onnx(path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=20),
    cut=st.integers(0, 400),
)
def test_a_damaged_file_gives_a_model_error_or_none(
    build_onnx: ModelBuilder, tmp_path: Path, edits: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(build_onnx(tmp_path / "m.onnx").read_bytes())
    for position, value in edits:
        content[position % len(content)] = value
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content[: len(content) - cut] or b"\x08")
    with contextlib.suppress(ModelError):
        read_onnx(path)


def test_weights_among_the_inputs_are_not_listed(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    """As in files of IR version 3, where every weight is an input too."""
    path = build_onnx(tmp_path / "m.onnx")
    proto = onnx.load(path)
    weight = onnx.helper.make_tensor_value_info("weights", onnx.TensorProto.FLOAT, [1, 3, 1, 1])
    proto.graph.input.append(weight)
    path.write_bytes(proto.SerializeToString())
    assert [info.name for info in read_onnx(path).inputs] == ["pixels"]


@pytest.mark.parametrize("standard", ["", "ai.onnx"])
@pytest.mark.parametrize("first", [True, False])
def test_the_opset_is_that_of_the_standard_operators(
    build_onnx: ModelBuilder, tmp_path: Path, standard: str, first: bool
) -> None:
    path = build_onnx(tmp_path / "m.onnx")
    proto = onnx.load(path)
    opsets = [onnx.helper.make_opsetid(standard, 20), onnx.helper.make_opsetid("own", 99)]
    del proto.opset_import[:]
    proto.opset_import.extend(opsets if first else opsets[::-1])
    path.write_bytes(proto.SerializeToString())
    assert read_onnx(path).opset == 20


def test_a_toolkits_key_is_a_word_of_its_own(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    metadata = {KEY: "a", f"{KEY}.golden": "b", f"{KEY}s": "c", "author": "d"}
    parts = read_parts(build_onnx(tmp_path / "m.onnx", metadata=metadata))
    assert parts.properties == {KEY: "a", f"{KEY}.golden": "b"}


def test_the_structure_covers_all_but_weights_and_metadata(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    def structure(change: Callable[[Any], object]) -> str:
        proto = onnx.load(build_onnx(tmp_path / "m.onnx"))
        change(proto)
        (tmp_path / "changed.onnx").write_bytes(proto.SerializeToString())
        return read_parts(tmp_path / "changed.onnx", each_weight=True).structure

    plain = structure(lambda proto: None)
    other_weight = onnx.numpy_helper.from_array(np.zeros((1, 3, 1, 1), np.float32), "weights")
    assert structure(lambda proto: proto.metadata_props.add(key="a", value="b")) == plain
    assert structure(lambda proto: proto.graph.initializer[0].CopyFrom(other_weight)) == plain
    for change in (
        lambda proto: setattr(proto.graph.node[1], "op_type", "Relu"),
        lambda proto: setattr(proto.graph, "name", "other"),
        lambda proto: setattr(proto.opset_import[0], "version", 21),
        lambda proto: setattr(proto, "producer_name", "another"),
    ):
        assert structure(change) != plain
