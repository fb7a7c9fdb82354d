"""What is counted of an ONNX graph, by the rules of `export.inspection.counting`."""

from dataclasses import dataclass

from export.inspection.graph_values import Shape


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """A node that holds weights or multiplies and accumulates.

    Attributes:
        name: what its weights are called in the network, or else the node or its output.
        operator: ONNX's name; with the domain where it is not a standard operator.
        output_shape: None where shape inference does not find it.
        parameters: numbers that are learned, without those of an earlier layer.
        shared_parameters: those of an earlier layer that this one uses too.
        macs: multiply-accumulate operations; None where shapes are not known, or the operator's
            are not counted.
        weight_bytes: of `parameters`, as they are stored.
        activation_bytes: of what the node gives, in the type in which it goes on: quantized where
            only `QuantizeLinear` reads it. None where shapes are not known.
        weight_type: as stored ("int8", "float16"); None without weights.
        activation_type: of what the node reads, before `DequantizeLinear`.
        arithmetic: the type that the graph states for its products: that of quantized values where
            weights and activations are quantized, float32 where float16 is only how they are kept.
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
    """How often an operator is in the graph.

    Attributes:
        layers: how many of its nodes are layers.
        constant: how many are computed from constants alone.
        quantized: how many read quantized values alone, as they are or from `DequantizeLinear`.
    """

    operator: str
    nodes: int
    layers: int
    constant: int
    quantized: int


@dataclass(frozen=True, slots=True)
class UncountedNode:
    """What the totals leave out, wholly or in part, and why."""

    name: str
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What a graph comes to.

    Attributes:
        macs: multiply-accumulate operations of one run.
        weight_bytes: of the parameters, as they are stored.
        constant_bytes: of everything else that is stored: scales, zero points, shapes, statistics.
        activation_bytes: of what all nodes give in one run; not all of it is kept at once.
        lower_bounds: which of these are lower bounds, since something was not counted.
    """

    parameters: int
    macs: int
    weight_bytes: int
    constant_bytes: int
    activation_bytes: int
    lower_bounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """A graph's layers in their order, its operators, and what they come to."""

    layers: tuple[LayerCounts, ...]
    operators: tuple[OperatorCount, ...]
    uncounted: tuple[UncountedNode, ...]
    total: Totals
