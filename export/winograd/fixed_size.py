"""The plain graph of a network at a fixed size, and the layers in it that can be rewritten."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from runtime.core.errors import ConfigError, ParityError
from runtime.data.orientation import Size
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution without groups or dilation.

    Attributes:
        name: of its weights, without ".weight".
        weights: float32 [outputs, inputs, height, width].
        bias: float64 [outputs].
        before, after: the padding above and to the left, below and to the right.
    """

    name: str
    weights: NDArray[np.float32]
    bias: NDArray[np.float64]
    stride: Size
    before: Size
    after: Size

    @property
    def kernel(self) -> Size:
        """Height and width of the kernel."""
        return self.weights.shape[2], self.weights.shape[3]

    @property
    def fits_winograd(self) -> bool:
        """True if minimal filtering F(m x m, 3x3) of adjacent tiles computes it."""
        return self.kernel == (3, 3) and self.stride == self.before == self.after == (1, 1)

    def output(self, size: Size) -> Size:
        """Return height and width of the output for those of an input."""
        height, width = (
            (length + before + after - kernel) // stride + 1
            for length, before, after, kernel, stride in zip(
                size, self.before, self.after, self.kernel, self.stride, strict=True
            )
        )
        return height, width


class FixedSizeGraph:
    """A graph at a fixed height and width: its nodes, constants and the shapes of its values.

    Attributes:
        model: a copy of the given one, with the batch as its only free dimension.

    Raises:
        ConfigError: the graph does not take inputs of this size.
        ParityError: the graph does not lead from an image to a probability.
    """

    def __init__(self, model: onnx.ModelProto, size: Size) -> None:
        self.model = _fixed(model, size)
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.input, *graph.output)
        }

    def image_shape(self, value: str) -> tuple[int, Size] | None:
        """Return channels and (height, width) of a [batch, channels, height, width], else None."""
        shape = self._shapes.get(value, [])
        if len(shape) != 4 or not all(shape[1:]):
            return None
        return shape[1], (shape[2], shape[3])

    def array(self, name: str) -> NDArray[Any]:
        """Return the values of a constant."""
        return numpy_helper.to_array(self.constants[name])

    def convolution(self, node: onnx.NodeProto) -> Convolution | None:
        """Return a node as a convolution, None where it is not one without groups or dilation."""
        if node.op_type != "Conv" or not self._constant(node.input[1:]):
            return None
        given = _attributes(node)
        before, after = tuple(given["pads"][:2]), tuple(given["pads"][2:])
        weights = self.array(node.input[1])
        plain = given["group"] == 1 and given["dilations"] == [1, 1]
        if not plain or weights.ndim != 4 or given["auto_pad"] != b"NOTSET":
            return None
        bias = self._bias(node, weights.shape[0])
        name = node.input[1].removesuffix(".weight")
        return Convolution(name, weights, bias, tuple(given["strides"]), before, after)

    def doubling(
        self, node: onnx.NodeProto
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Return weights and bias of a 2x2 transposed convolution of stride 2, else None."""
        if node.op_type != "ConvTranspose" or not self._constant(node.input[1:]):
            return None
        given, weights = _attributes(node), self.array(node.input[1])
        plain = (
            given["group"] == 1
            and given["strides"] == [2, 2]
            and given["dilations"] == [1, 1]
            and not any((*given["pads"], *given.get("output_padding", ())))
            and "output_shape" not in given
            and given["auto_pad"] == b"NOTSET"
        )
        if not plain or weights.shape[2:] != (2, 2):
            return None
        return weights, self._bias(node, weights.shape[1])

    def is_halving(self, node: onnx.NodeProto) -> bool:
        """Return whether a node is 2x2 max pooling of a map of even height and width."""
        shape = self.image_shape(node.input[0])
        if node.op_type != "MaxPool" or shape is None or len(node.output) != 1:
            return False
        given = _attributes(node)
        square = given["kernel_shape"] == given["strides"] == [2, 2]
        whole = not any(given["pads"]) and given["dilations"] == [1, 1]
        even = not any(side % 2 for side in shape[1])
        return square and whole and even and given["auto_pad"] == b"NOTSET"

    def joins_channels(self, node: onnx.NodeProto) -> bool:
        """Return whether a node concatenates feature maps along their channels."""
        return node.op_type == "Concat" and _attributes(node)["axis"] in (1, -3)

    def _constant(self, names: list[str]) -> bool:
        return all(name in self.constants for name in names)

    def _bias(self, node: onnx.NodeProto, outputs: int) -> NDArray[np.float64]:
        if len(node.input) < 3:
            return np.zeros(outputs)
        return self.array(node.input[2]).astype(np.float64)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes, with the defaults of two-dimensional convolution and pooling."""
    defaults: dict[str, Any] = {
        "group": 1,
        "strides": [1, 1],
        "dilations": [1, 1],
        "pads": [0, 0, 0, 0],
        "auto_pad": b"NOTSET",
    }
    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return defaults | given


def _fixed(model: onnx.ModelProto, size: Size) -> onnx.ModelProto:
    """Return a copy for one height and width, with the shapes of its values."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    names = [value.name for value in (*graph.input, *graph.output)]
    if names != [INPUT_NAME, OUTPUT_NAME]:
        raise ParityError(
            f"winograd: unsuitable graph: expected one from {INPUT_NAME!r} to {OUTPUT_NAME!r}, "
            f"found {names}"
        )
    for value in (graph.input[0], graph.output[0]):
        for dim, length in zip(value.type.tensor_type.shape.dim[2:], size, strict=True):
            if dim.HasField("dim_value") and dim.dim_value != length:
                raise ConfigError(
                    f"winograd: the network has a fixed size: expected a side of "
                    f"{dim.dim_value}, found {size[0]}x{size[1]}"
                )
            dim.dim_value = length
    del graph.value_info[:]
    try:
        return shape_inference.infer_shapes(copy, strict_mode=True, data_prop=True)
    except shape_inference.InferenceError as error:
        raise ConfigError(
            f"winograd: the network cannot take an input of {size[0]}x{size[1]}"
        ) from error
