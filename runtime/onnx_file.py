"""Reading what an ONNX file states, without onnx and without running it.

An ONNX file is one protobuf message (https://protobuf.dev/programming-guides/encoding/, onnx.proto
in https://github.com/onnx/onnx). Only the fields named here are looked at, the weights are skipped,
and every length is checked against the file before it is used.
"""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ModelError
from runtime.metadata import KEY, Metadata, parse_metadata

MAX_BYTES = 1 << 31
MAX_FIELDS = 1 << 18
"""That are looked at; an exported network has up to 13 thousand, and a node at least four."""
MAX_TEXT_BYTES = 1 << 20
"""Of the metadata, and of a name."""
_MAX_DEPTH = 16
_MAX_TAG = (1 << 32) - 1
_FLOAT = 1
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A graph's input or output.

    Attributes:
        element_type: `TensorProto.DataType`; 1 is float32.
        shape: None where a dimension is dynamic.
    """

    name: str
    element_type: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        kind = "float32" if self.element_type == _FLOAT else f"type {self.element_type}"
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name!r} {kind} [{sides}]"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What a file states.

    Attributes:
        inputs, outputs: of the graph, without inputs that are weights.
        opset: of the standard operators; 0 where none is stated.
        metadata: the toolkit's document; None in a file of another origin.
        digest: SHA-256 (hexadecimal) over everything in the file but its metadata.
        file_bytes: the file's size.
    """

    path: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    opset: int
    metadata: Metadata | None
    digest: str
    file_bytes: int


def read_onnx(path: str | Path) -> OnnxFile:
    """Read what an ONNX file states.

    Raises:
        ModelError: there is no such file, it is damaged or not ONNX, its weights lie in other
            files, or its metadata cannot be used.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        if file.is_dir():
            raise ModelError(f"{file}: expected an ONNX file, found a folder")
        if not file.is_file() or not 0 < size <= MAX_BYTES:
            raise ModelError(
                f"{file}: expected an ONNX file of up to {MAX_BYTES} bytes, found none"
            )
        with file.open("rb") as stream:
            # Not closed by hand: an error's traceback may still hold slices of it.
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return _Reader(file).read(memoryview(mapped))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"{file}: expected an ONNX file, found {reason}") from error


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen = 0

    def read(self, view: memoryview) -> OnnxFile:
        digest = hashlib.sha256()
        graph: memoryview | None = None
        opset = 0
        document: str | None = None
        for number, value, raw in self.fields(view):
            if number == 14:
                entry = self.message(value)
                document = self.name(entry, 2) if self.name(entry, 1) == KEY else document
                continue
            digest.update(raw)
            if number == 7:
                if graph is not None:  # protobuf would merge them, out of sight of what follows
                    raise self.not_onnx("two graphs")
                graph = self.message(value)
            elif number == 8:
                domain, version = self.opset(self.message(value))
                opset = version if domain in ("", "ai.onnx") else opset
            elif number == 25:  # a function: its nodes are field 7
                self.refuse_external(self.message(value), node=7, depth=0)
        if graph is None or opset == 0:
            raise self.not_onnx("no graph of standard operators")
        self.refuse_external(graph, node=1, depth=0)
        weights = {self.name(self.message(v), 8) for n, v, _ in self.fields(graph) if n == 5}
        inputs, outputs = (
            tuple(self.tensor(self.message(v)) for n, v, _ in self.fields(graph) if n == wanted)
            for wanted in (11, 12)
        )
        metadata = None if document is None else parse_metadata(document, str(self.path))
        return OnnxFile(
            path=self.path,
            inputs=tuple(info for info in inputs if info.name not in weights),
            outputs=outputs,
            opset=opset,
            metadata=metadata,
            digest=digest.hexdigest(),
            file_bytes=len(view),
        )

    def not_onnx(self, found: str) -> ModelError:
        return ModelError(f"{self.path}: expected a complete ONNX file, found {found}")

    def fields(self, view: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
        """Yield each field's number, its value (bytes, or an integer), and all of its bytes."""
        position = 0
        while position < len(view):
            start = position
            tag, position = self.varint(view, position)
            self.seen += 1
            if self.seen > MAX_FIELDS:
                raise self.not_onnx(f"one of more than {MAX_FIELDS} fields")
            if tag > _MAX_TAG:  # protobuf's parsers cut it, and would see another field
                raise self.not_onnx("one that is damaged")
            number, wire = tag >> 3, tag & 7
            value: int | memoryview
            if wire == _VARINT:
                value, position = self.varint(view, position)
            elif wire in (_LENGTH, _FIXED32, _FIXED64):
                length = {_FIXED32: 4, _FIXED64: 8}.get(wire, 0)
                if wire == _LENGTH:
                    length, position = self.varint(view, position)
                if number == 0 or length > len(view) - position:
                    raise self.not_onnx("one that is cut or damaged")
                value = view[position : position + length]
                position += length
            else:
                raise self.not_onnx("something else")
            yield number, value, view[start:position]

    def varint(self, view: memoryview, position: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= len(view):
                raise self.not_onnx("one that is cut")
            byte = view[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise self.not_onnx("something else")

    def message(self, value: int | memoryview) -> memoryview:
        if isinstance(value, int):
            raise self.not_onnx("one that is damaged")
        return value

    def integer(self, value: int | memoryview) -> int:
        if isinstance(value, int):
            return value
        raise self.not_onnx("one that is damaged")

    def text(self, value: int | memoryview) -> str:
        content = self.message(value)
        if len(content) > MAX_TEXT_BYTES:
            raise self.not_onnx(f"a text of {len(content)} bytes")
        try:
            return str(content, "utf-8")
        except UnicodeDecodeError as error:
            raise self.not_onnx("one that is damaged") from error

    def name(self, view: memoryview, field: int) -> str:
        return next((self.text(v) for n, v, _ in self.fields(view) if n == field), "")

    def opset(self, view: memoryview) -> tuple[str, int]:
        version = next((self.integer(v) for n, v, _ in self.fields(view) if n == 2), 0)
        return self.name(view, 1), version

    def tensor(self, view: memoryview) -> TensorInfo:
        kind, shape = 0, []
        for number, value, _ in self.fields(view):
            if number != 2:
                continue
            for form, tensor, _ in self.fields(self.message(value)):
                if form != 1:  # a sequence or a map
                    continue
                for part, content, _ in self.fields(self.message(tensor)):
                    if part == 1:
                        kind = self.integer(content)
                    elif part == 2:
                        shape = self.shape(self.message(content))
        return TensorInfo(self.name(view, 1), kind, tuple(shape))

    def shape(self, view: memoryview) -> list[int | None]:
        sides: list[int | None] = []
        for _, dimension, _ in self.fields(view):
            side = next((v for n, v, _ in self.fields(self.message(dimension)) if n == 1), None)
            sides.append(None if side is None else self.integer(side))
        return sides

    def refuse_external(self, view: memoryview, *, node: int, depth: int) -> None:
        """Raise ModelError where a graph's or a function's weights lie outside the file."""
        if depth > _MAX_DEPTH:
            raise self.not_onnx("graphs nested too deep")
        for number, value, _ in self.fields(view):
            if number == node:
                self.refuse_external_attributes(self.message(value), depth)
            elif node == 1 and number == 5:
                self.refuse_external_tensor(self.message(value))
            elif node == 1 and number == 15:
                self.refuse_external_sparse(self.message(value))

    def refuse_external_attributes(self, view: memoryview, depth: int) -> None:
        for number, attribute, _ in self.fields(view):
            if number != 5:
                continue
            for part, content, _ in self.fields(self.message(attribute)):
                if part in (5, 10):
                    self.refuse_external_tensor(self.message(content))
                elif part in (6, 11):
                    self.refuse_external(self.message(content), node=1, depth=depth + 1)
                elif part in (22, 23):
                    self.refuse_external_sparse(self.message(content))

    def refuse_external_sparse(self, view: memoryview) -> None:
        for _, part, _ in self.fields(view):  # values and indices
            if isinstance(part, memoryview):
                self.refuse_external_tensor(part)

    def refuse_external_tensor(self, view: memoryview) -> None:
        for number, value, _ in self.fields(view):
            if number == 13 or (number == 14 and value == 1):
                raise ModelError(
                    f"{self.path}: expected a file that holds its own weights, found one that "
                    "points to external data"
                )
