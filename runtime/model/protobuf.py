"""Reading the fields of a protobuf message, without onnx and without copying.

Wire format: https://protobuf.dev/programming-guides/encoding/. Every length is checked against the
bytes that are left before it is used. Groups, which ONNX does not use, are refused.
"""

from collections.abc import Iterator
from pathlib import Path

from runtime.core.errors import ModelError

MAX_FIELDS = 1 << 18
"""Limit on the fields that are read. An exported network has up to 40 thousand."""
MAX_TEXT_BYTES = 1 << 20
"""Limit on a text, such as the metadata or a name."""
_MAX_TAG = (1 << 32) - 1
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types
_DAMAGED = "a damaged one"


class Wire:
    r"""A reader of protobuf messages, whose methods raise ModelError where one is damaged.

    Args:
        path: the file that the messages are from, for error messages.

    Example:
        >>> message = memoryview(b"\x08\x96\x01")
        >>> [(number, value) for number, value, _ in Wire(Path("m.onnx")).fields(message)]
        [(1, 150)]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0

    def damaged(self, found: str) -> ModelError:
        """Return the error for a damaged file; `found` completes the sentence."""
        return ModelError(f"{self.path}: expected a complete ONNX file, found {found}")

    def fields(self, view: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
        """Yield each field's number, its value (bytes, or an integer), and all of its bytes."""
        position = 0
        while position < len(view):
            start = position
            tag, position = self._varint(view, position)
            self._seen += 1
            if self._seen > MAX_FIELDS:
                raise self.damaged(f"more than {MAX_FIELDS} fields")
            if tag > _MAX_TAG:  # parsers of protobuf drop its upper bits and see another field
                raise self.damaged(_DAMAGED)
            number, wire = tag >> 3, tag & 7
            value: int | memoryview
            if wire == _VARINT:
                value, position = self._varint(view, position)
            elif wire in (_LENGTH, _FIXED32, _FIXED64):
                length = {_FIXED32: 4, _FIXED64: 8}.get(wire, 0)
                if wire == _LENGTH:
                    length, position = self._varint(view, position)
                if number == 0 or length > len(view) - position:
                    raise self.damaged(_DAMAGED)
                value = view[position : position + length]
                position += length
            else:
                raise self.damaged(_DAMAGED)
            yield number, value, view[start:position]

    def all(self, view: memoryview, field: int) -> Iterator[memoryview]:
        """Yield the bytes of every `field` of a message."""
        return (self.message(value) for number, value, _ in self.fields(view) if number == field)

    def message(self, value: int | memoryview) -> memoryview:
        """Return the bytes of a field's value."""
        if isinstance(value, int):
            raise self.damaged(_DAMAGED)
        return value

    def integer(self, value: int | memoryview) -> int:
        """Return the integer that is a field's value."""
        if isinstance(value, int):
            return value
        raise self.damaged(_DAMAGED)

    def integers(self, value: int | memoryview) -> list[int]:
        """Return the integers of a repeated field that is packed into one value."""
        view, position, found = self.message(value), 0, []
        while position < len(view):
            number, position = self._varint(view, position)
            found.append(number)
        return found

    def text(self, value: int | memoryview) -> str:
        """Return a field's value as text."""
        content = self.message(value)
        if len(content) > MAX_TEXT_BYTES:
            raise self.damaged(f"a text of {len(content)} bytes")
        try:
            return str(content, "utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(_DAMAGED) from error

    def name(self, view: memoryview, field: int) -> str:
        """Return the text of a message's first `field`; empty where there is none."""
        return next((self.text(v) for n, v, _ in self.fields(view) if n == field), "")

    def _varint(self, view: memoryview, position: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= len(view):
                raise self.damaged("a file that ends too early")
            byte = view[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise self.damaged(_DAMAGED)
