"""The fields of an ONNX file's protobuf message, read without onnx and without copying.

Wire format: https://protobuf.dev/programming-guides/encoding/. Every length is checked against what
is there before it is used; groups, which ONNX does not have, are refused.
"""

from collections.abc import Iterator
from pathlib import Path

from runtime.core.errors import ModelError

MAX_FIELDS = 1 << 18
"""That are looked at; an exported network has up to 40 thousand, and a node at least four."""
MAX_TEXT_BYTES = 1 << 20
"""Of the metadata, and of a name."""
_MAX_TAG = (1 << 32) - 1
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Wire:
    """Reads messages of the file `path`; each method raises ModelError where one is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0

    def damaged(self, found: str) -> ModelError:
        """Return the error that says what was found in the place of a complete file."""
        return ModelError(f"{self.path}: expected a complete ONNX file, found {found}")

    def fields(self, view: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
        """Yield each field's number, its value (bytes, or an integer), and all of its bytes."""
        position = 0
        while position < len(view):
            start = position
            tag, position = self._varint(view, position)
            self._seen += 1
            if self._seen > MAX_FIELDS:
                raise self.damaged(f"one of more than {MAX_FIELDS} fields")
            if tag > _MAX_TAG:  # protobuf's parsers cut it, and would see another field
                raise self.damaged("one that is damaged")
            number, wire = tag >> 3, tag & 7
            value: int | memoryview
            if wire == _VARINT:
                value, position = self._varint(view, position)
            elif wire in (_LENGTH, _FIXED32, _FIXED64):
                length = {_FIXED32: 4, _FIXED64: 8}.get(wire, 0)
                if wire == _LENGTH:
                    length, position = self._varint(view, position)
                if number == 0 or length > len(view) - position:
                    raise self.damaged("one that is cut or damaged")
                value = view[position : position + length]
                position += length
            else:
                raise self.damaged("something else")
            yield number, value, view[start:position]

    def message(self, value: int | memoryview) -> memoryview:
        """Return a field's bytes."""
        if isinstance(value, int):
            raise self.damaged("one that is damaged")
        return value

    def integer(self, value: int | memoryview) -> int:
        """Return a field's integer."""
        if isinstance(value, int):
            return value
        raise self.damaged("one that is damaged")

    def text(self, value: int | memoryview) -> str:
        """Return a field's text."""
        content = self.message(value)
        if len(content) > MAX_TEXT_BYTES:
            raise self.damaged(f"a text of {len(content)} bytes")
        try:
            return str(content, "utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged("one that is damaged") from error

    def name(self, view: memoryview, field: int) -> str:
        """Return a message's text in `field`, or an empty one."""
        return next((self.text(v) for n, v, _ in self.fields(view) if n == field), "")

    def _varint(self, view: memoryview, position: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= len(view):
                raise self.damaged("one that is cut")
            byte = view[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise self.damaged("something else")
