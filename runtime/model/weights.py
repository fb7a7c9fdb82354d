"""The weights of an ONNX file, read and replaced without the package onnx."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.model.onnx_file import FLOAT32, GRAPH_INITIALIZER, MODEL_GRAPH
from runtime.model.protobuf import Wire

Floats = NDArray[np.float32]

# Field numbers of TensorProto in onnx.proto.
_DIMS, _DATA_TYPE, _RAW_DATA = 1, 2, 9


def with_weights(path: Path, change: Callable[[Floats], Floats]) -> bytes:
    """Return a file's content with other values in its float32 weights.

    Exported files store weights as raw bytes. Weights in another form or of another type stay as
    they are.

    Args:
        path: the ONNX file.
        change: returns the new values of a weight, of the same shape.

    Raises:
        ModelError: the file is damaged.
        OSError: the file cannot be read.
    """
    content = bytearray(path.read_bytes())
    wire = Wire(path)
    for graph in wire.all(memoryview(content), MODEL_GRAPH):
        for tensor in wire.all(graph, GRAPH_INITIALIZER):
            raw, shape = _float32(wire, tensor)
            if raw is None:
                continue
            if len(raw) != 4 * int(np.prod(shape, dtype=np.int64)):
                raise wire.damaged("a weight whose bytes do not fill its shape")
            values = np.frombuffer(raw, "<f4").reshape(shape)
            raw[:] = np.ascontiguousarray(change(values), "<f4").tobytes()
    return bytes(content)


def _float32(wire: Wire, tensor: memoryview) -> tuple[memoryview | None, list[int]]:
    """Return the raw bytes and the shape of a tensor; None where it is not float32 in raw bytes."""
    shape: list[int] = []
    kind, raw = 0, None
    for number, value, _ in wire.fields(tensor):
        if number == _DIMS:
            shape += [value] if isinstance(value, int) else wire.integers(value)
        elif number == _DATA_TYPE:
            kind = wire.integer(value)
        elif number == _RAW_DATA:
            raw = wire.message(value)
    return (raw if kind == FLOAT32 else None), shape
