"""Reading what an ONNX file states, without onnx and without running it.

An ONNX file is one protobuf message (onnx.proto in https://github.com/onnx/onnx). Only the fields
named here are looked at, and the weights are skipped.
"""

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.core.errors import ModelError
from runtime.core.files import found_instead
from runtime.model.metadata import KEY, Metadata, parse_metadata
from runtime.model.protobuf import Wire

MAX_BYTES = 1 << 31
_MAX_DEPTH = 16
_FLOAT = 1
_GRAPH, _PROPERTY = 7, 14  # of a ModelProto
_INITIALIZER = 5  # of a GraphProto


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


@dataclass(frozen=True, slots=True)
class Parts:
    """A file taken apart.

    Attributes:
        inputs, outputs, opset, digest, file_bytes: as in `OnnxFile`.
        properties: the toolkit's texts in the metadata, by their keys.
        weights: SHA-256 of each weight (its `TensorProto`) by its name, where they were asked for.
        structure: SHA-256 over everything but weights and metadata, where it was asked for.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    opset: int
    digest: str
    file_bytes: int
    properties: Mapping[str, str]
    weights: Mapping[str, str] = field(default_factory=dict)
    structure: str = ""


def read_onnx(path: str | Path) -> OnnxFile:
    """Read what an ONNX file states.

    Raises:
        ModelError: there is no such file, it is damaged or not ONNX, its weights lie in other
            files, or its metadata cannot be used.
    """
    file = Path(path)
    parts = read_parts(file)
    document = parts.properties.get(KEY)
    return OnnxFile(
        path=file,
        inputs=parts.inputs,
        outputs=parts.outputs,
        opset=parts.opset,
        metadata=None if document is None else parse_metadata(document, str(file)),
        digest=parts.digest,
        file_bytes=parts.file_bytes,
    )


def read_parts(path: Path, *, each_weight: bool = False) -> Parts:
    """Read a file's parts, its metadata as text.

    Args:
        each_weight: whether digests of the single weights, and of what is left of the file without
            them, are taken too.

    Raises:
        ModelError: there is no such file, it is damaged or not ONNX, or its weights lie in other
            files.
    """
    try:
        size = path.stat().st_size
        found = found_instead(path) or ("an empty file" if size == 0 else None)
        if found is not None:
            raise ModelError(f"{path}: expected an ONNX file, found {found}")
        if size > MAX_BYTES:
            raise ModelError(
                f"{path}: expected an ONNX file of up to {MAX_BYTES} bytes, found {size}"
            )
        with path.open("rb") as stream:
            # Not closed by hand: an error's traceback may still hold slices of it.
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        reader = _Reader(path)
        parts = reader.parts(memoryview(mapped))
        return reader.with_weights(memoryview(mapped), parts) if each_weight else parts
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"{path}: expected an ONNX file, found {reason}") from error


class _Reader(Wire):
    def parts(self, view: memoryview) -> Parts:
        digest = hashlib.sha256()
        graph: memoryview | None = None
        opset = 0
        properties: dict[str, str] = {}
        for number, value, raw in self.fields(view):
            if number == _PROPERTY:
                entry = self.message(value)
                key = self.name(entry, 1)
                if key.split(".")[0] == KEY:
                    properties[key] = self.name(entry, 2)
                continue
            digest.update(raw)
            if number == _GRAPH:
                if graph is not None:  # protobuf would merge them, out of sight of what follows
                    raise self.damaged("two graphs")
                graph = self.message(value)
            elif number == 8:
                domain, version = self.opset(self.message(value))
                opset = version if domain in ("", "ai.onnx") else opset
            elif number == 25:  # a function: its nodes are field 7
                self.refuse_external(self.message(value), node=7, depth=0)
        if graph is None or opset == 0:
            raise self.damaged("no graph of standard operators")
        self.refuse_external(graph, node=1, depth=0)
        weights = {
            self.name(self.message(v), 8) for n, v, _ in self.fields(graph) if n == _INITIALIZER
        }
        inputs, outputs = (
            tuple(self.tensor(self.message(v)) for n, v, _ in self.fields(graph) if n == wanted)
            for wanted in (11, 12)
        )
        return Parts(
            inputs=tuple(info for info in inputs if info.name not in weights),
            outputs=outputs,
            opset=opset,
            digest=digest.hexdigest(),
            file_bytes=len(view),
            properties=properties,
        )

    def with_weights(self, view: memoryview, parts: Parts) -> Parts:
        structure = hashlib.sha256()
        weights: dict[str, str] = {}
        for number, value, raw in self.fields(view):
            if number == _GRAPH:
                for part, content, field_bytes in self.fields(self.message(value)):
                    if part == _INITIALIZER:
                        tensor = self.message(content)
                        weights[self.name(tensor, 8)] = hashlib.sha256(tensor).hexdigest()
                    else:
                        structure.update(field_bytes)
            elif number != _PROPERTY:
                structure.update(raw)
        return replace(parts, weights=weights, structure=structure.hexdigest())

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
            raise self.damaged("graphs nested too deep")
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
