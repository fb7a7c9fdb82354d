"""The counts of an ONNX graph, by the rules of `export.inspection.counting`."""

from dataclasses import dataclass

from export.inspection.tensors import Shape


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """A node that holds weights or multiplies and accumulates.

    Attributes:
        name: of its weights in the network, or else of the node or its output.
        operator: ONNX's name; with the domain where it is not a standard operator.
        output_shape: None where shape inference does not find it.
        parameters: the number of learned values, without those of an earlier layer.
        shared_parameters: those of an earlier layer that this one uses too.
        macs: multiply-accumulate operations; None where shapes are unknown or the operator is not
            counted.
        weight_bytes: of `parameters`, as they are stored.
        activation_bytes: of the node's output, in its quantized type where only `QuantizeLinear`
            reads it. None where shapes are unknown.
        weight_type: as stored ("int8", "float16"); None without weights.
        activation_type: of the node's input, before `DequantizeLinear`.
        arithmetic: the type of its products: the quantized type where weights and activations are
            quantized, float32 where float16 is only for storage.
    """

    name: str
    operator: str
    output_shape: Shape | None
    parameters: int
    shared_parameters: int
    macs: int | None
    weight_bytes: int
    activation_bytes: int | None
    weight_type: str | None
    activation_type: str
    arithmetic: str


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """The number of an operator's nodes in the graph.

    Attributes:
        layers: how many of its nodes are layers.
        constant: how many are computed from constants only.
        quantized: how many read quantized values only, directly or from `DequantizeLinear`.
    """

    operator: str
    nodes: int
    layers: int
    constant: int
    quantized: int


@dataclass(frozen=True, slots=True)
class UncountedNode:
    """A node or tensor that the totals leave out, at least in part, and why.

    Attributes:
        hidden: whether it may hold parameters that are not counted either.
    """

    name: str
    operator: str
    reason: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over a graph.

    Attributes:
        macs: multiply-accumulate operations of one run.
        weight_bytes: of the parameters, as they are stored.
        constant_bytes: of all other stored tensors: scales, zero points, shapes, statistics.
        activation_bytes: of the outputs of all nodes in one run, which are not all in memory at
            once.
        lower_bounds: the names of those that are lower bounds, because something is not counted.
    """

    parameters: int
    macs: int
    weight_bytes: int
    constant_bytes: int
    activation_bytes: int
    lower_bounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """A graph's layers in their order, its operators, and their sums."""

    layers: tuple[LayerCounts, ...]
    operators: tuple[OperatorCount, ...]
    uncounted: tuple[UncountedNode, ...]
    total: Totals
