"""Messages of protobuf, against those that the package protobuf writes."""

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.errors import ModelError
from runtime.model.protobuf import Wire

pytest.importorskip("google.protobuf")

from google.protobuf import descriptor_pb2, type_pb2, wrappers_pb2

UNSIGNED = st.integers(0, (1 << 64) - 1)


def fields_of(content: bytes) -> list[tuple[int, object]]:
    wire = Wire(Path("m.onnx"))
    return [
        (number, value if isinstance(value, int) else bytes(value))
        for number, value, _ in wire.fields(memoryview(content))
    ]


@given(UNSIGNED)
@settings(max_examples=30, deadline=None)
def test_integers_are_those_that_were_written(value: int) -> None:
    content = wrappers_pb2.UInt64Value(value=value).SerializeToString()
    assert fields_of(content) == ([(1, value)] if value else [])


def test_fields_of_every_kind_have_their_numbers_and_bytes() -> None:
    field = type_pb2.Field(name="text", number=300, packed=True)
    assert fields_of(field.SerializeToString()) == [(3, 300), (4, b"text"), (8, 1)]
    double = wrappers_pb2.DoubleValue(value=0.5).SerializeToString()
    assert fields_of(double) == [(1, bytes.fromhex("000000000000e03f"))]
    single = wrappers_pb2.FloatValue(value=0.5).SerializeToString()
    assert fields_of(single) == [(1, bytes.fromhex("0000003f"))]


@given(st.lists(st.integers(0, (1 << 31) - 1), max_size=6))
@settings(max_examples=30, deadline=None)
def test_packed_integers_are_those_that_were_written(values: list[int]) -> None:
    location = descriptor_pb2.SourceCodeInfo.Location(path=values).SerializeToString()
    wire = Wire(Path("m.onnx"))
    packed = [*wire.all(memoryview(location), 1)]
    assert [wire.integers(part) for part in packed] == ([values] if values else [])


def test_a_text_of_a_mebibyte_is_read_and_one_byte_more_is_refused() -> None:
    wire, content = Wire(Path("m.onnx")), b"x" * (1 << 20)
    assert wire.text(memoryview(content)) == content.decode()
    with pytest.raises(ModelError, match=r"m\.onnx: .* found a text of 1048577 bytes"):
        wire.text(memoryview(content + b"x"))


@given(st.binary(min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_fields_or_a_model_error(content: bytes) -> None:
    try:
        fields = [*Wire(Path("m.onnx")).fields(memoryview(content))]
    except ModelError:
        return
    assert b"".join(bytes(whole) for _, _, whole in fields) == content
