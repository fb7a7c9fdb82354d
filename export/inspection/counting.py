"""Parameters, multiply-accumulates and bytes of an ONNX graph, layer by layer.

A *layer* is a node that holds weights or multiplies and accumulates, together with the sum that
adds its bias. The rule by which something is a *parameter*: it is stored in the file, and its
numbers reach, at most reordered, cast, dequantized or multiplied by a fixed matrix, one of these
places:

- kernel and bias of a convolution, plain, transposed or quantized;
- the constant operand of a matrix product, unless it is a fixed matrix
  (`StoredTensor.is_fixed_matrix`: Winograd's transformations, interpolations), and `Gemm`'s third;
- a constant added to either right after, its bias;
- factor and offset of a normalization, also where they are a product and a sum right after it; its
  mean and variance are statistics and no parameters, nor are an `InstanceNormalization`'s factors
  of one and offsets of zero, which stand for none;
- the slope of `PRelu`, the table of `Gather`, the weights of `LSTM`, `GRU` and `RNN`.

Scales, zero points, shapes and constants in other places are not: a graph does not tell a factor
that was learned from one that was not. A tensor that several layers share counts once. A graph
into whose convolutions batch normalization was folded has one bias a channel where the network had
a factor and an offset.

*MACs* are those of convolutions and matrix products, as `torch.utils.flop_counter` counts them (two
operations each). What is computed from constants alone is computed once, and not counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import onnx

from export.inspection.counts import Counts, LayerCounts, OperatorCount, Totals, UncountedNode
from export.inspection.graph_values import GraphValues, StoredTensor
from export.inspection.operators import (
    INTEGER,
    MULTIPLYING,
    NOT_COUNTED,
    count_node_macs,
    find_weights,
    has_offset,
    is_known,
    operator_name,
)
from export.inspection.value_types import ValueTypes

# What may stand between a layer and its bias.
_BETWEEN = {
    "Cast", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Slice",
    "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
_NORMALIZES = "Normalization"
_UNSEEN = "not looked into"


def count_graph(model: onnx.ModelProto, where: str) -> Counts:
    """Count a graph whose inputs have fixed sizes.

    Args:
        where: the file's name, for messages.

    Raises:
        ModelError: a stored tensor has more or fewer elements than its shape says.
    """
    return _Walk(model, GraphValues(model, where)).counts()


@dataclass(slots=True)
class _OpenLayer:
    """A layer, while nodes behind it may still add to it."""

    node: onnx.NodeProto
    weights: list[StoredTensor] = field(default_factory=list)
    own: list[StoredTensor] = field(default_factory=list)
    has_factor: bool = False
    has_offset: bool = False


class _Walk:
    def __init__(self, model: onnx.ModelProto, values: GraphValues) -> None:
        self.graph, self.values = model.graph, values
        self.functions = {(function.domain, function.name) for function in model.functions}
        self.precision = ValueTypes(model.graph, values)
        self.running = [
            node
            for node in self.graph.node
            if not values.constant.issuperset(filter(None, node.output))
        ]
        self.seen: set[str] = set()
        self.drafts: list[_OpenLayer] = []
        # The layer whose numbers a value holds, as long as a bias may still follow.
        self.layer_of: dict[str, _OpenLayer] = {}

    def counts(self) -> Counts:
        for node in self.running:
            self.take(node)
        # A normalization without factors is a layer only where they came right after it.
        self.drafts = [
            draft
            for draft in self.drafts
            if draft.weights or operator_name(draft.node) in MULTIPLYING
        ]
        layers = tuple(self.layer(draft) for draft in self.drafts)
        uncounted = (*self.uncounted(layers), *self.sparse())
        hidden = any(entry.reason.endswith(_UNSEEN) for entry in uncounted)
        activations = [self.precision.activation_bytes(node) for node in self.running]
        bounds = {
            "parameters": hidden,
            "macs": bool(uncounted),
            "weight_bytes": hidden,
            "activation_bytes": hidden or None in activations,
        }
        weight_bytes = sum(layer.weight_bytes for layer in layers)
        stored_bytes = sum(tensor.stored_bytes for tensor in self.values.stored.values())
        return Counts(
            layers=layers,
            operators=self.operators(),
            uncounted=uncounted,
            total=Totals(
                parameters=sum(layer.parameters for layer in layers),
                macs=sum(layer.macs or 0 for layer in layers),
                weight_bytes=weight_bytes,
                constant_bytes=stored_bytes - weight_bytes,
                activation_bytes=sum(size or 0 for size in activations),
                lower_bounds=tuple(name for name, is_bound in bounds.items() if is_bound),
            ),
        )

    def take(self, node: onnx.NodeProto) -> None:
        """Make a layer of a node, or add what it holds to the layer that it follows."""
        operator = operator_name(node)
        weights = find_weights(node, self.values)
        before = next((self.layer_of[name] for name in node.input if name in self.layer_of), None)
        if weights or operator in MULTIPLYING or operator.endswith(_NORMALIZES):
            draft = _OpenLayer(node, has_offset=bool(weights) and has_offset(node))
            self.drafts.append(draft)
            self.add(draft, weights)
            # A fixed matrix behind a layer only transforms what the layer gives.
            held = not self.values.constant.isdisjoint(node.input)
            fixed = operator in MULTIPLYING and held and not weights
            follows = before if fixed and before else draft
        elif before is not None and self.continues(operator, node, before):
            follows = before
        else:
            return
        self.layer_of |= {name: follows for name in node.output[:1] if name}

    def continues(self, operator: str, node: onnx.NodeProto, before: _OpenLayer) -> bool:
        """Whether a node without places of its own hands on what the layer before it gives."""
        if operator in _BETWEEN:
            return True
        behind = operator_name(before.node)
        if operator == "Mul" and behind in INTEGER:  # by the scales
            return True
        learned = [
            tensor
            for name in node.input
            for tensor in self.values.sources(name)
            if not tensor.is_fixed_matrix()
        ]
        if operator == "Mul" and behind.endswith(_NORMALIZES) and not before.has_factor:
            before.has_factor = bool(learned)
            self.add(before, learned)
            return True
        if operator == "Add" and not before.has_offset:
            before.has_offset = bool(learned)
            self.add(before, learned)
        return False

    def add(self, draft: _OpenLayer, weights: Sequence[StoredTensor]) -> None:
        for tensor in weights:
            draft.weights.append(tensor)
            if tensor.name not in self.seen:
                self.seen.add(tensor.name)
                draft.own.append(tensor)

    def layer(self, draft: _OpenLayer) -> LayerCounts:
        node, weights = draft.node, draft.weights
        own = sum(tensor.elements for tensor in draft.own)
        distinct = {tensor.name: tensor.elements for tensor in weights}
        read = [name for name in node.input if name and name not in self.values.constant]
        return LayerCounts(
            name=_layer_name(node, draft.own),
            operator=operator_name(node),
            output_shape=self.values.shape(node.output[0]),
            parameters=own,
            shared_parameters=sum(distinct.values()) - own,
            macs=count_node_macs(node, self.values),
            weight_bytes=sum(tensor.stored_bytes for tensor in draft.own),
            activation_bytes=self.precision.activation_bytes(node),
            weight_type=weights[0].kind if weights else None,
            activation_type=self.precision.type_before(read[0]) if read else "undefined",
            arithmetic=self.precision.arithmetic(node),
        )

    def operators(self) -> tuple[OperatorCount, ...]:
        layers = Counter(operator_name(draft.node) for draft in self.drafts)
        running = Counter(operator_name(node) for node in self.running)
        quantized = Counter(
            operator_name(node) for node in self.running if self.precision.is_quantized(node)
        )
        nodes = Counter(operator_name(node) for node in self.graph.node)
        return tuple(
            OperatorCount(name, number, layers[name], number - running[name], quantized[name])
            for name, number in sorted(nodes.items(), key=lambda item: (-item[1], item[0]))
        )

    def uncounted(self, layers: Sequence[LayerCounts]) -> Iterator[UncountedNode]:
        known = {id(d.node): layer for d, layer in zip(self.drafts, layers, strict=True)}
        for node in self.running:
            layer = known.get(id(node))
            reason = self.reason(node, layer)
            if reason:
                name = layer.name if layer else node.name or next(iter(node.output), "")
                yield UncountedNode(name, operator_name(node), reason)

    def reason(self, node: onnx.NodeProto, layer: LayerCounts | None) -> str | None:
        if (node.domain, node.op_type) in self.functions:
            return f"a function of the file, {_UNSEEN}"
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return f"holds a graph of its own, {_UNSEEN}"
        if not is_known(node):
            return f"a custom operator, {_UNSEEN}"
        if operator_name(node) in NOT_COUNTED:
            return "multiplies and accumulates, which is not counted for this operator"
        if layer is not None and layer.macs is None:
            fault = f" ({self.values.fault})" if self.values.fault else ""
            return f"has shapes that inference does not find{fault}"
        return None

    def sparse(self) -> Iterator[UncountedNode]:
        for tensor in self.graph.sparse_initializer:
            yield UncountedNode(tensor.values.name, "initializer", f"sparse, {_UNSEEN}")
        for node in self.graph.node:
            if any(attribute.HasField("sparse_tensor") for attribute in node.attribute):
                yield UncountedNode(next(iter(node.output), ""), node.op_type, f"sparse, {_UNSEEN}")


def _layer_name(node: onnx.NodeProto, own: Sequence[StoredTensor]) -> str:
    """Return "encoder.stem" of "encoder.stem.weight", or else the node's name."""
    # Not of what the layer shares: exporters store equal tensors once, under the first one's name.
    for ending in (".weight", ".bias"):
        for tensor in own:
            if ending in tensor.name:
                return tensor.name[: tensor.name.rindex(ending)]
    return node.name or (own[0].name if own else next(iter(node.output), ""))
