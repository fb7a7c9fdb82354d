"""Rewrites a network's graph: 3x3 convolutions by Winograd's minimal filtering."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from export.winograd import layers
from export.winograd.builder import GraphBuilder
from export.winograd.cost import ConvAlgorithm, ConvShape, choose_algorithm, choose_layout
from export.winograd.fixed_size import Convolution, FixedSizeGraph
from export.winograd.rows import Rows, from_image, to_image
from runtime.core.errors import ConfigError
from runtime.data.orientation import Size
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME

AlgorithmChoice = Callable[[ConvShape], ConvAlgorithm]
_PREFIX = "rows/"


@dataclass(frozen=True, slots=True)
class RewrittenConvolution:
    """A 3x3 convolution and the algorithm that computes it now.

    Attributes:
        name: of its weights, without ".weight".
        inputs, outputs: channels.
        height, width: of its output, in pixels.
    """

    name: str
    inputs: int
    outputs: int
    height: int
    width: int
    algorithm: ConvAlgorithm


@dataclass(frozen=True, slots=True)
class RewrittenGraph:
    """The graph for one height and width, and its 3x3 convolutions in their order."""

    model: onnx.ModelProto
    layers: tuple[RewrittenConvolution, ...]


def rewrite(
    model: onnx.ModelProto, size: Size, choose: AlgorithmChoice = choose_algorithm
) -> RewrittenGraph:
    """Rewrite 3x3 convolutions of stride 1 as F(2x2,3x3), F(4x4,3x3) or F(6x6,3x3).

    Feature maps between them become matrices with one row per pixel (`rows.Rows`). Nodes that are
    not recognized are copied, on maps in the usual layout.

    Args:
        model: a graph of `export.conversion.convert`, of one network or several.
        size: height and width of the inputs that the new graph takes; the batch stays dynamic.
        choose: returns the algorithm of each convolution that may be rewritten.

    Raises:
        ConfigError: the network cannot take inputs of this size, or no convolution would gain.
        ParityError: the graph is not one of `convert`.
    """
    network = FixedSizeGraph(model, size)
    rewriter = _Rewriter(network, choose)
    for node in network.model.graph.node:
        rewriter.visit(node)
    if all(layer.algorithm is ConvAlgorithm.DIRECT for layer in rewriter.layers):
        raise ConfigError(
            f"winograd: no 3x3 convolution of this network would gain at {size[0]}x{size[1]}"
        )
    return RewrittenGraph(rewriter.finish(), tuple(rewriter.layers))


class _Rewriter:
    """Walks through the graph, in which each value is known as an image, as rows, or as both."""

    def __init__(self, network: FixedSizeGraph, choose: AlgorithmChoice) -> None:
        self._network = network
        self._choose = choose
        self._builder = GraphBuilder(_PREFIX)
        self._rows: dict[str, tuple[Rows, ...]] = {}
        self._images = {INPUT_NAME, *network.constants}
        self._batch = self._builder.node("Shape", INPUT_NAME, start=0, end=1)
        self.layers: list[RewrittenConvolution] = []

    def visit(self, node: onnx.NodeProto) -> None:
        """Rewrite a node if possible, else copy it."""
        rows = self._rewritten(node)
        if rows is not None:
            self._rows[node.output[0]] = rows
            return
        for name in node.input:
            self._as_image(name)
        self._builder.nodes.append(node)
        self._images.update(node.output)

    def finish(self) -> onnx.ModelProto:
        """Return the new graph, checked."""
        self._as_image(OUTPUT_NAME)
        model = onnx.ModelProto()
        model.CopyFrom(self._network.model)
        graph = model.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self._builder.nodes)
        used = {name for node in graph.node for name in node.input}
        still_used = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(still_used)
        graph.initializer.extend(self._builder.initializers)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _rewritten(self, node: onnx.NodeProto) -> tuple[Rows, ...] | None:
        """Return a node's output as rows, None where it must be an image."""
        convolution = self._network.convolution(node)
        if convolution is not None:
            return self._convolved(node, convolution)
        if not any(name in self._rows for name in node.input):
            return None
        builder, first = self._builder, node.input[0]
        if node.op_type == "Relu":
            return tuple(layers.relu(builder, rows) for rows in self._rows[first])
        if self._network.is_halving(node):
            return tuple(layers.max_pool(builder, self._batch, rows) for rows in self._rows[first])
        if (doubling := self._network.doubling(node)) is not None:
            (rows,) = self._rows[first]
            return (layers.upsample(builder, rows, *doubling),)
        if self._network.joins_channels(node) and self._are_maps(node):
            return tuple(rows for name in node.input for rows in self._as_rows(name))
        if node.op_type == "Add" and self._are_maps(node):
            return self._added(node)
        return None

    def _convolved(self, node: onnx.NodeProto, convolution: Convolution) -> tuple[Rows, ...] | None:
        source = node.input[0]
        shape = self._network.image_shape(source)
        if shape is None:
            return None
        inputs, size = shape
        output, outputs = convolution.output(size), len(convolution.bias)
        algorithm = ConvAlgorithm.DIRECT
        if convolution.fits_winograd:
            algorithm = self._choose(ConvShape(inputs, outputs, size))
        if convolution.kernel == (3, 3):
            self.layers.append(
                RewrittenConvolution(convolution.name, inputs, outputs, *output, algorithm)
            )
        weights, bias = convolution.weights, convolution.bias
        builder, batch = self._builder, self._batch
        if algorithm is not ConvAlgorithm.DIRECT:
            chosen = choose_layout(ConvShape(inputs, outputs, size), algorithm)
            maps = self._as_rows(source)
            return (layers.convolve_winograd(builder, batch, maps, weights, bias, chosen),)
        if source not in self._rows:
            return None
        maps, stride, before = self._rows[source], convolution.stride, convolution.before
        return (
            layers.convolve_direct(builder, batch, maps, weights, bias, stride, before, output),
        )

    def _added(self, node: onnx.NodeProto) -> tuple[Rows, ...] | None:
        first, second = (self._as_rows(name) for name in node.input)
        if len(first) != 1 or len(second) != 1 or first[0].channels != second[0].channels:
            return None
        return (layers.add(self._builder, self._batch, first[0], second[0]),)

    def _are_maps(self, node: onnx.NodeProto) -> bool:
        """Return whether all inputs are feature maps of one size."""
        shapes = [self._network.image_shape(name) for name in node.input]
        sizes = {shape and shape[1] for shape in shapes}
        return None not in shapes and len(sizes) == 1

    def _as_rows(self, name: str) -> tuple[Rows, ...]:
        if name not in self._rows:
            shape = self._network.image_shape(name)
            assert shape is not None
            self._rows[name] = (from_image(self._builder, name, *shape),)
        return self._rows[name]

    def _as_image(self, name: str) -> None:
        """Make a value available as an image, under its own name."""
        if name in self._images or name not in self._rows:
            return
        to_image(self._builder, self._batch, self._rows[name])
        self._builder.nodes[-1].output[0] = name
        self._images.add(name)
