"""Parameters, multiply-accumulates and bytes of an ONNX graph, layer by layer.

A *layer* is a node that holds weights or multiplies and accumulates, together with the sum that
adds its bias. A stored tensor holds *parameters* if its numbers reach one of the following inputs.
On the way they may only be reordered, cast, dequantized or multiplied by a fixed matrix.

- The kernel and bias of a convolution: plain, transposed or quantized.
- The constant operand of a matrix product, and the third input of `Gemm`. A fixed matrix is no
  parameter (`StoredTensor.is_fixed_matrix`: Winograd's transforms, interpolations).
- A constant added right after either of them: its bias.
- The factor and offset of a normalization, also as a product and a sum right after it. Its mean
  and variance are statistics, not parameters. An `InstanceNormalization` whose factors are all one
  and offsets all zero has none.
- The slope of `PRelu`, the table of `Gather`, the weights of `LSTM`, `GRU` and `RNN`.

Scales, zero points, shapes and all other constants are not parameters, since a graph does not show
whether they were learned. A tensor that several layers share counts once. Where batch normalization
was folded into convolutions, one bias per channel replaces a factor and an offset.

*MACs* are those of convolutions and matrix products, as `torch.utils.flop_counter` counts them (two
operations each). Computations on constants only are done once and are not counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import onnx

from export.inspection.counts import Counts, LayerCounts, OperatorCount, Totals, UncountedNode
from export.inspection.graph_values import GraphValues
from export.inspection.operators import (
    BEFORE_BIAS,
    INTEGER,
    MULTIPLYING,
    NOT_COUNTED,
    count_node_macs,
    find_weights,
    has_offset,
    is_known,
    operator_name,
)
from export.inspection.tensors import StoredTensor
from export.inspection.value_types import ValueTypes

_NORMALIZES = "Normalization"
_HIDDEN = "not looked into"


def count_graph(model: onnx.ModelProto, where: str) -> Counts:
    """Count a graph whose inputs have fixed sizes.

    Args:
        where: the file's name, for messages.

    Raises:
        ModelError: a stored tensor has more or fewer elements than its shape says.

    Example:
        >>> from onnx import parser
        >>> graph = parser.parse_model('''
        ...     <ir_version: 10, opset_import: ["" : 20]>
        ...     g (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
        ...     <float[2, 3, 1, 1] weight = {1, 2, 3, 4, 5, 6}> { y = Conv(x, weight) }
        ... ''')
        >>> total = count_graph(graph, "example.onnx").total
        >>> total.parameters, total.macs, total.weight_bytes, total.activation_bytes
        (6, 384, 24, 512)
    """
    return _Walk(model, GraphValues(model, where)).counts()


@dataclass(slots=True)
class _OpenLayer:
    """A layer to which later nodes may still add.

    Attributes:
        weights: all tensors that it uses.
        own: those of them that no earlier layer uses.
    """

    node: onnx.NodeProto
    weights: list[StoredTensor] = field(default_factory=list)
    own: list[StoredTensor] = field(default_factory=list)
    has_factor: bool = False
    has_offset: bool = False


class _Walk:
    """One pass through a graph's nodes, in their order."""

    def __init__(self, model: onnx.ModelProto, values: GraphValues) -> None:
        self.graph, self.values = model.graph, values
        self.functions = {(function.domain, function.name) for function in model.functions}
        self.precision = ValueTypes(model.graph, values)
        self.computed = [
            node
            for node in self.graph.node
            if not values.constant.issuperset(filter(None, node.output))
        ]
        self.seen: set[str] = set()
        self.open_layers: list[_OpenLayer] = []
        # The layer whose numbers a value holds, as long as a bias may still follow.
        self.layer_of: dict[str, _OpenLayer] = {}

    def counts(self) -> Counts:
        for node in self.computed:
            self.visit(node)
        # A normalization is only a layer if it has factors, which may come right after it.
        self.open_layers = [
            layer
            for layer in self.open_layers
            if layer.weights or operator_name(layer.node) in MULTIPLYING
        ]
        layers = tuple(self.close(layer) for layer in self.open_layers)
        uncounted = (*self.uncounted(layers), *self.sparse())
        return Counts(layers, self.operators(), uncounted, self.totals(layers, uncounted))

    def totals(self, layers: Sequence[LayerCounts], uncounted: Sequence[UncountedNode]) -> Totals:
        hidden = any(entry.hidden for entry in uncounted)
        activations = [self.precision.activation_bytes(node) for node in self.computed]
        bounds = {
            "parameters": hidden,
            "macs": bool(uncounted),
            "weight_bytes": hidden,
            "activation_bytes": hidden or None in activations,
        }
        weight_bytes = sum(layer.weight_bytes for layer in layers)
        stored_bytes = sum(tensor.stored_bytes for tensor in self.values.stored.values())
        return Totals(
            parameters=sum(layer.parameters for layer in layers),
            macs=sum(layer.macs or 0 for layer in layers),
            weight_bytes=weight_bytes,
            constant_bytes=stored_bytes - weight_bytes,
            activation_bytes=sum(size or 0 for size in activations),
            lower_bounds=tuple(name for name, is_bound in bounds.items() if is_bound),
        )

    def visit(self, node: onnx.NodeProto) -> None:
        """Make a layer of a node, or add what it holds to the layer that it follows."""
        operator = operator_name(node)
        weights = find_weights(node, self.values)
        before = next((self.layer_of[name] for name in node.input if name in self.layer_of), None)
        if weights or operator in MULTIPLYING or operator.endswith(_NORMALIZES):
            layer = _OpenLayer(node, has_offset=bool(weights) and has_offset(node))
            self.open_layers.append(layer)
            self.add(layer, weights)
            # A product with a fixed matrix only transforms the output of the layer before it.
            has_constant = not self.values.constant.isdisjoint(node.input)
            fixed = operator in MULTIPLYING and has_constant and not weights
            follows = before if fixed and before else layer
        elif before is not None and self.continues(operator, node, before):
            follows = before
        else:
            return
        self.layer_of |= {name: follows for name in node.output[:1] if name}

    def continues(self, operator: str, node: onnx.NodeProto, before: _OpenLayer) -> bool:
        """Return whether a bias may still follow a node that is no layer itself."""
        if operator in BEFORE_BIAS:
            return True
        layer_operator = operator_name(before.node)
        if operator == "Mul" and layer_operator in INTEGER:  # by the scales
            return True
        learned = [
            tensor
            for name in node.input
            for tensor in self.values.sources(name)
            if not tensor.is_fixed_matrix()
        ]
        if operator == "Mul" and layer_operator.endswith(_NORMALIZES) and not before.has_factor:
            before.has_factor = bool(learned)
            self.add(before, learned)
            return True
        if operator == "Add" and not before.has_offset:
            before.has_offset = bool(learned)
            self.add(before, learned)
        return False

    def add(self, layer: _OpenLayer, weights: Sequence[StoredTensor]) -> None:
        for tensor in weights:
            layer.weights.append(tensor)
            if tensor.name not in self.seen:
                self.seen.add(tensor.name)
                layer.own.append(tensor)

    def close(self, layer: _OpenLayer) -> LayerCounts:
        node, weights = layer.node, layer.weights
        own = sum(tensor.elements for tensor in layer.own)
        distinct = {tensor.name: tensor.elements for tensor in weights}
        read = [name for name in node.input if name and name not in self.values.constant]
        return LayerCounts(
            name=_layer_name(node, layer.own),
            operator=operator_name(node),
            output_shape=self.values.shape(node.output[0]),
            parameters=own,
            shared_parameters=sum(distinct.values()) - own,
            macs=count_node_macs(node, self.values),
            weight_bytes=sum(tensor.stored_bytes for tensor in layer.own),
            activation_bytes=self.precision.activation_bytes(node),
            weight_type=weights[0].kind if weights else None,
            activation_type=self.precision.type_before(read[0]) if read else "undefined",
            arithmetic=self.precision.arithmetic(node),
        )

    def operators(self) -> tuple[OperatorCount, ...]:
        layers = Counter(operator_name(layer.node) for layer in self.open_layers)
        computed = Counter(operator_name(node) for node in self.computed)
        quantized = Counter(
            operator_name(node) for node in self.computed if self.precision.is_quantized(node)
        )
        nodes = Counter(operator_name(node) for node in self.graph.node)
        return tuple(
            OperatorCount(name, number, layers[name], number - computed[name], quantized[name])
            for name, number in sorted(nodes.items(), key=lambda item: (-item[1], item[0]))
        )

    def uncounted(self, layers: Sequence[LayerCounts]) -> Iterator[UncountedNode]:
        known = {id(o.node): layer for o, layer in zip(self.open_layers, layers, strict=True)}
        for node in self.computed:
            layer = known.get(id(node))
            hidden = self.hidden_part(node)
            reason = f"{hidden}, {_HIDDEN}" if hidden else self.missing_count(node, layer)
            if reason:
                name = layer.name if layer else node.name or next(iter(node.output), "")
                yield UncountedNode(name, operator_name(node), reason, hidden=hidden is not None)

    def hidden_part(self, node: onnx.NodeProto) -> str | None:
        """Return why a node may hold more than is seen, None where it does not."""
        if (node.domain, node.op_type) in self.functions:
            return "a function of the file"
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return "holds a graph of its own"
        return None if is_known(node) else "a custom operator"

    def missing_count(self, node: onnx.NodeProto, layer: LayerCounts | None) -> str | None:
        """Return why the multiply-accumulates of a node are not counted, None where they are."""
        if operator_name(node) in NOT_COUNTED:
            return "multiplies and accumulates, which is not counted for this operator"
        if layer is not None and layer.macs is None:
            fault = f" ({self.values.fault})" if self.values.fault else ""
            return f"has shapes that inference does not find{fault}"
        return None

    def sparse(self) -> Iterator[UncountedNode]:
        for tensor in self.graph.sparse_initializer:
            yield UncountedNode(
                tensor.values.name, "initializer", f"sparse, {_HIDDEN}", hidden=True
            )
        for node in self.graph.node:
            if any(attribute.HasField("sparse_tensor") for attribute in node.attribute):
                name = next(iter(node.output), "")
                yield UncountedNode(name, node.op_type, f"sparse, {_HIDDEN}", hidden=True)


def _layer_name(node: onnx.NodeProto, own: Sequence[StoredTensor]) -> str:
    """Return "encoder.stem" of "encoder.stem.weight", or else the node's name."""
    # Shared tensors do not name a layer: exporters store equal ones once, under the first name.
    for ending in (".weight", ".bias"):
        for tensor in own:
            if ending in tensor.name:
                return tensor.name[: tensor.name.rindex(ending)]
    return node.name or (own[0].name if own else next(iter(node.output), ""))
