"""The tensors that an ONNX file stores."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from runtime.core.errors import ModelError

Shape = tuple[int, ...]

_MAGNITUDES = 32
_BITS = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8, "STRING": 0, "UNDEFINED": 0}


def kind_name(element_type: int) -> str:
    """Return numpy's name of a `TensorProto.DataType`.

    Example:
        >>> kind_name(1), kind_name(10), kind_name(3)
        ('float32', 'float16', 'int8')
    """
    try:
        name = str(onnx.TensorProto.DataType.Name(element_type))
    except ValueError:
        return f"type {element_type}"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def bytes_of(element_type: int, shape: Shape) -> int:
    """Return the bytes of a tensor, with elements of less than a byte packed.

    Example:
        >>> bytes_of(onnx.TensorProto.FLOAT, (2, 3)), bytes_of(onnx.TensorProto.INT4, (3,))
        (24, 2)
    """
    return (math.prod(shape) * _bits(element_type) + 7) // 8


def _bits(element_type: int) -> int:
    try:
        name = onnx.TensorProto.DataType.Name(element_type)
    except ValueError:
        return 0
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else _BITS[name]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the file holds, in an initializer or in a node `Constant`.

    Attributes:
        name: of the value.
        element_type: `TensorProto.DataType`.
    """

    name: str
    element_type: int
    shape: Shape
    tensor: onnx.TensorProto

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    @property
    def kind(self) -> str:
        """The type's name."""
        return kind_name(self.element_type)

    @property
    def stored_bytes(self) -> int:
        """The bytes of its elements."""
        return bytes_of(self.element_type, self.shape)

    def holds_only(self, number: float) -> bool:
        """Return whether every element is `number`."""
        return bool((numpy_helper.to_array(self.tensor).astype(np.float64) == number).all())

    def is_fixed_matrix(self) -> bool:
        """Return whether it is a matrix that somebody wrote down, not one that was learned.

        The matrices of Winograd's convolution, an interpolation or a mask repeat few numbers. Zero
        is one of them, and there are at most 32 magnitudes and half as many as elements.
        """
        if sum(side > 1 for side in self.shape) < 2 or not self.kind.startswith("float"):
            return False
        values = numpy_helper.to_array(self.tensor).ravel()
        most = min(_MAGNITUDES, len(values) // 2)
        if len(_magnitudes(values[: 4 * _MAGNITUDES])) > most:  # learned: the rest need not be read
            return False
        found = _magnitudes(values)
        return 2 <= len(found) <= most and found[0] == 0.0


def _magnitudes(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.unique(np.abs(values.astype(np.float64)))


def stored_tensors(graph: onnx.GraphProto, where: str) -> Iterable[StoredTensor]:
    """Yield the dense tensors of a graph.

    Raises:
        ModelError: one has more or fewer elements than its shape says.
    """
    for tensor in graph.initializer:
        yield _checked(tensor.name, tensor, where)
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield _checked(node.output[0], attribute.t, where)
                elif attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
                    value = onnx.helper.get_attribute_value(attribute)
                    kind = np.float32 if "float" in attribute.name else np.int64
                    tensor = numpy_helper.from_array(np.asarray(value, kind), node.output[0])
                    yield _checked(node.output[0], tensor, where)


def _checked(name: str, tensor: onnx.TensorProto, where: str) -> StoredTensor:
    shape = tuple(tensor.dims)
    claimed = bytes_of(tensor.data_type, shape)
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    else:
        fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
        numbers = sum(len(field) for field in (*fields, tensor.uint64_data))
        per_number = 8 if _bits(tensor.data_type) < 8 else _bits(tensor.data_type)
        if kind_name(tensor.data_type).startswith("complex"):
            per_number //= 2
        held = numbers * per_number // 8
    if any(side < 0 for side in shape) or claimed != held:
        raise ModelError(
            f"{where}: damaged tensor {name[:80]!r} of {kind_name(tensor.data_type)} "
            f"{list(shape)}: expected {claimed} bytes, found {held}"
        )
    return StoredTensor(name, tensor.data_type, shape, tensor)
