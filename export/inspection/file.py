"""The contents of an ONNX file, of this toolkit or another, without running it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from export.inspection.counting import count_graph
from export.inspection.counts import Counts
from export.inspection.tensors import kind_name
from runtime.core.errors import ConfigError, ModelError
from runtime.data.orientation import Size
from runtime.data.resizing import MAX_SIDE
from runtime.model.metadata import InputSpec, Metadata
from runtime.model.onnx_file import OnnxFile, read_onnx

_IMAGE_AXES = 4


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A graph's input or output.

    Attributes:
        type: "float32", "int64", ...
        shape: each dimension as a number, or its name where it is dynamic, or None without a name.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The contents of a file.

    Attributes:
        file: its path.
        digest: SHA-256 over everything in the file except its metadata.
        opset: of the standard operators.
        producer: the tool that made the file, as the file states; empty where it states none.
        metadata: the toolkit's document with the certificate; None in a file of another tool.
        inputs, outputs: as the graph states them.
        counted_at: the shapes of the inputs that `counts` applies to: one image of the requested
            size.
        counts: layers, operators, parameters, MACs and bytes.
    """

    file: str
    file_bytes: int
    digest: str
    opset: int
    ir_version: int
    producer: str
    metadata: Metadata | None
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    counted_at: tuple[ValueInfo, ...]
    counts: Counts


def inspect(path: str | Path, size: Size | None = None) -> Inspection:
    """Read and count an ONNX file, for a batch of one image where the batch is dynamic.

    Nothing is computed, and no memory is taken for sizes that the file only claims. The rules of
    counting are those of `export.inspection.counting`.

    Args:
        size: (height, width) of the input; None for the size that the file states. A file of
            another tool needs it if its input is an image of dynamic size.

    Raises:
        ModelError: the file is damaged or not ONNX, its weights are in other files, or a size is
            needed and not given.
        ConfigError: the network cannot take an input of this size.
    """
    file = read_onnx(path)
    model = _load(file.path)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    stated = tuple(_describe(value) for value in inputs)
    _set_shapes(inputs, _chosen_size(file, stated, size))
    return Inspection(
        file=str(file.path),
        file_bytes=file.file_bytes,
        digest=file.digest,
        opset=file.opset,
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata=file.metadata,
        inputs=stated,
        outputs=tuple(_describe(value) for value in graph.output),
        counted_at=tuple(_describe(value) for value in inputs),
        counts=count_graph(model, str(file.path)),
    )


def _load(path: Path) -> onnx.ModelProto:
    damaged = f"{path}: damaged ONNX file"
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise ModelError(damaged) from error
    # protobuf returns text that is not UTF-8 as bytes.
    if not all(isinstance(text, str) for text in _texts(model)):
        raise ModelError(damaged)
    return model


def _texts(model: onnx.ModelProto) -> Iterator[str]:
    graph = model.graph
    yield from (model.producer_name, model.producer_version)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (side.dim_param for side in value.type.tensor_type.shape.dim)


def _describe(value: onnx.ValueInfoProto) -> ValueInfo:
    tensor = value.type.tensor_type
    sides = tuple(
        side.dim_value if side.HasField("dim_value") else side.dim_param or None
        for side in tensor.shape.dim
    )
    return ValueInfo(value.name, kind_name(tensor.elem_type), sides)


def _chosen_size(file: OnnxFile, inputs: tuple[ValueInfo, ...], size: Size | None) -> Size | None:
    """Return the height and width of the inputs; None where none is an image of dynamic size."""
    where = str(file.path)
    if file.metadata is not None:
        spec = file.metadata.input
        chosen = size or (spec.height, spec.width)
        spec.check_size(chosen, where)
    elif size is not None:
        InputSpec(MAX_SIDE, MAX_SIDE, multiple=1).check_size(size, where)
        chosen = size
    else:
        chosen = (0, 0)
    images = [value for value in inputs if len(value.shape) == _IMAGE_AXES]
    for value in images:
        for axis, wanted in zip(_side_axes(value.shape), chosen, strict=True):
            side = value.shape[axis]
            if isinstance(side, int) and size is not None and side != wanted:
                raise ConfigError(
                    f"{where}: the input {value.name!r} has a fixed side: expected {side}, "
                    f"found {wanted}"
                )
            if not isinstance(side, int) and not wanted:
                raise ModelError(
                    f"{where}: the file does not state the input's size; give --size "
                    "(in Python size=(height, width))"
                )
    if size is not None and not images:
        raise ConfigError(f"{where}: no input is an image, so that no size can be chosen")
    return chosen if images else None


def _side_axes(shape: tuple[int | str | None, ...]) -> tuple[int, int]:
    """Return the axes of height and width: after the channels, or before them."""
    channels_last = isinstance(shape[3], int) and not isinstance(shape[1], int)
    return (1, 2) if channels_last else (2, 3)


def _set_shapes(inputs: list[onnx.ValueInfoProto], size: Size | None) -> None:
    for value in inputs:
        shape = _describe(value).shape
        lengths = dict(_lengths(shape, size))
        for axis, side in enumerate(value.type.tensor_type.shape.dim):
            if axis in lengths and not side.HasField("dim_value"):
                side.dim_value = lengths[axis]


def _lengths(shape: tuple[int | str | None, ...], size: Size | None) -> Iterator[tuple[int, int]]:
    if shape:
        yield 0, 1
    if size is not None and len(shape) == _IMAGE_AXES:
        yield from zip(_side_axes(shape), size, strict=True)
