"""A builder of ONNX graphs, node by node."""

from hashlib import blake2b
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


class GraphBuilder:
    """Collects nodes and constants, in the order of execution and with unique names.

    Args:
        prefix: of every name that the builder makes; no other name in the graph may begin with it.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its single output."""
        name = self._name(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Return the name of a constant; equal ones are stored once."""
        values = np.asarray(values, order="C")
        key = (values.dtype.str, values.shape, blake2b(values.tobytes()).digest())
        if key not in self._constants:
            self._constants[key] = self._name("constant")
            self.initializers.append(numpy_helper.from_array(values, self._constants[key]))
        return self._constants[key]

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape each image's part of a value; the batch stays the first axis.

        The batch size is left to be inferred. If ONNX Runtime knew that a value of the encoder and
        one of the decoder have the same shape, it would hold the memory of the first until the
        second needs it. The memory of values of unknown shape is freed after their last use.
        """
        return self.node("Reshape", value, self.constant(np.array((-1, *shape), np.int64)))

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{self._prefix}{stem}_{self._count}"
