"""Reading the inputs, outputs, metadata and digests of an ONNX file, without running it.

An ONNX file is one protobuf message (onnx.proto in https://github.com/onnx/onnx). Only the fields
named here are read, and without the package onnx.
"""

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.core.errors import ModelError
from runtime.core.files import found_instead
from runtime.model.external_data import refuse_in_function, refuse_in_graph
from runtime.model.metadata import KEY, Metadata, parse_metadata
from runtime.model.protobuf import Wire

MAX_BYTES = 1 << 31
FLOAT32 = 1
"""`TensorProto.DataType.FLOAT`."""

# Field numbers of onnx.proto.
MODEL_GRAPH, _MODEL_OPSET_IMPORT, _MODEL_METADATA_PROPS, _MODEL_FUNCTIONS = 7, 8, 14, 25
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 5, 11, 12
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR = 1
_TENSOR_TYPE_ELEMENT, _TENSOR_TYPE_SHAPE = 1, 2
_DIMENSION_VALUE = 1
_MAX_SIDE = (1 << 63) - 1
"""Greater values of 64 bits are negative."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A graph's input or output.

    Attributes:
        element_type: number of its `TensorProto.DataType`; `FLOAT32` is 1.
        shape: its sides; None for a dynamic one, which some exporters write as -1. Empty where the
            file states none.

    Example:
        >>> str(TensorInfo("image", FLOAT32, (None, 3, 64, 64)))
        "'image' float32 [?, 3, 64, 64]"
    """

    name: str
    element_type: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        kind = "float32" if self.element_type == FLOAT32 else f"type {self.element_type}"
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name!r} {kind} [{sides}]"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The contents of an ONNX file, apart from its weights.

    Attributes:
        inputs, outputs: of the graph. Inputs that are weights are not listed.
        opset: version of the standard operators.
        metadata: the toolkit's document; None in a third-party file.
        digest: SHA-256 (hexadecimal) over everything in the file except its metadata.
        file_bytes: size of the file.
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
    """The parts of an ONNX file.

    Attributes:
        inputs, outputs, opset, digest, file_bytes: as in `OnnxFile`.
        properties: the toolkit's entries in `metadata_props`, by key.
        weights: SHA-256 of each weight (its `TensorProto`) by name; empty unless requested.
        structure: SHA-256 over everything except weights and metadata; empty unless requested.
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
    """Read an ONNX file's inputs, outputs and metadata. The network is not loaded.

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
    """Read an ONNX file's parts, with its metadata as text.

    Args:
        each_weight: whether to compute `weights` and `structure` too.

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
            # Left to the garbage collector: an error's traceback may still hold slices of it.
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
            if number == _MODEL_METADATA_PROPS:
                entry = self.message(value)
                key = self.name(entry, _ENTRY_KEY)
                if key.split(".")[0] == KEY:
                    properties[key] = self.name(entry, _ENTRY_VALUE)
                continue
            digest.update(raw)
            if number == MODEL_GRAPH:
                if graph is not None:  # parsers of protobuf would merge the two
                    raise self.damaged("two graphs")
                graph = self.message(value)
            elif number == _MODEL_OPSET_IMPORT:
                domain, version = self.opset(self.message(value))
                opset = version if domain in ("", "ai.onnx") else opset
            elif number == _MODEL_FUNCTIONS:
                refuse_in_function(self, self.message(value))
        if graph is None or opset == 0:
            raise self.damaged("no graph of standard operators")
        refuse_in_graph(self, graph)
        weights = {self.name(tensor, _TENSOR_NAME) for tensor in self.all(graph, GRAPH_INITIALIZER)}
        inputs = (self.tensor(info) for info in self.all(graph, _GRAPH_INPUT))
        return Parts(
            inputs=tuple(info for info in inputs if info.name not in weights),
            outputs=tuple(self.tensor(info) for info in self.all(graph, _GRAPH_OUTPUT)),
            opset=opset,
            digest=digest.hexdigest(),
            file_bytes=len(view),
            properties=properties,
        )

    def with_weights(self, view: memoryview, parts: Parts) -> Parts:
        structure = hashlib.sha256()
        weights: dict[str, str] = {}
        for number, value, raw in self.fields(view):
            if number == MODEL_GRAPH:
                for part, content, field_bytes in self.fields(self.message(value)):
                    if part == GRAPH_INITIALIZER:
                        tensor = self.message(content)
                        name = self.name(tensor, _TENSOR_NAME)
                        weights[name] = hashlib.sha256(tensor).hexdigest()
                    else:
                        structure.update(field_bytes)
            elif number != _MODEL_METADATA_PROPS:
                structure.update(raw)
        return replace(parts, weights=weights, structure=structure.hexdigest())

    def opset(self, view: memoryview) -> tuple[str, int]:
        versions = (self.integer(v) for n, v, _ in self.fields(view) if n == _OPSET_VERSION)
        return self.name(view, _OPSET_DOMAIN), next(versions, 0)

    def tensor(self, view: memoryview) -> TensorInfo:
        element_type, shape = 0, []
        for kind in self.all(view, _VALUE_TYPE):
            for tensor in self.all(kind, _TYPE_TENSOR):  # not a sequence or a map
                for number, content, _ in self.fields(tensor):
                    if number == _TENSOR_TYPE_ELEMENT:
                        element_type = self.integer(content)
                    elif number == _TENSOR_TYPE_SHAPE:
                        shape = self.shape(self.message(content))
        return TensorInfo(self.name(view, _VALUE_NAME), element_type, tuple(shape))

    def shape(self, view: memoryview) -> list[int | None]:
        sides: list[int | None] = []
        for _, dimension, _ in self.fields(view):
            parts = self.fields(self.message(dimension))
            side = next((v for n, v, _ in parts if n == _DIMENSION_VALUE), None)
            value = None if side is None else self.integer(side)
            sides.append(None if value is None or value > _MAX_SIDE else value)
        return sides
