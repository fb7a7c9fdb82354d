"""The first layer of a graph that differs from its PyTorch network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.conversion import LAYER_SEPARATOR, joined
from runtime.model.metadata import INPUT_NAME
from runtime.model.sessions import open_session
from train.network import SegmentationNetwork

_TINY = float(np.finfo(np.float32).tiny)
TOLERANCE = 1e-3
"""The largest difference of a layer's output that counts as rounding.

It is relative to the largest value. Rounding in float32 stays far below this in a deep network; a
wrong layer is far above it.
"""


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """A layer whose output differs.

    Attributes:
        layer: its name in the network.
        operator: of its node in the graph.
        relative: the largest difference, divided by the largest expected value.
    """

    layer: str
    operator: str
    relative: float


def first_difference(
    model: onnx.ModelProto,
    networks: Sequence[SegmentationNetwork],
    inputs: NDArray[np.float32],
    *,
    threads: int,
) -> LayerDifference | None:
    """Compare the layers of a graph with those of its networks in float64, in the graph's order.

    Only modules without submodules are compared, and only if the graph computes each call with one
    node of the name that `export.conversion.convert` gives. All of them become outputs of a copy of
    the graph, so that ONNX Runtime cannot fuse them.

    Args:
        inputs: float32 [N, 3, H, W] in [0, 1].

    Returns:
        The first layer beyond `TOLERANCE`; None where there is none, as when only a fusion of
        layers differs.
    """
    expected = _outputs(joined(networks), inputs)
    nodes = _nodes(model, expected)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    taken = {output.name for output in copy.graph.output}
    for node, _ in nodes:
        if node.output[0] not in taken:
            copy.graph.output.add().name = node.output[0]
    session = open_session(copy.SerializeToString(), threads=threads)
    found = session.run([node.output[0] for node, _ in nodes], {INPUT_NAME: inputs})
    for (node, wanted), value in zip(nodes, found, strict=True):
        largest = float(np.abs(wanted).max())
        relative = float(np.abs(value - wanted).max()) / max(largest, _TINY)
        # Written so that a NaN is a difference.
        if not relative <= TOLERANCE:
            layer = node.name.split(LAYER_SEPARATOR)[0]
            return LayerDifference(layer, node.op_type, relative)
    return None


def _outputs(
    network: nn.Module, inputs: NDArray[np.float32]
) -> dict[str, list[NDArray[np.float64]]]:
    """Return the outputs of each innermost module, call by call, in float64."""
    outputs: dict[str, list[NDArray[np.float64]]] = {}
    handles = []
    for name, module in network.named_modules():
        if next(module.children(), None) is None:

            def record(
                _module: nn.Module, _inputs: object, output: Tensor, name: str = name
            ) -> None:
                # A copy, because a following ReLU may work in place.
                outputs.setdefault(name, []).append(output.numpy().copy())

            handles.append(module.register_forward_hook(record))
    try:
        with torch.no_grad():
            network.double()(torch.from_numpy(inputs).double())
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _nodes(
    model: onnx.ModelProto, outputs: dict[str, list[NDArray[np.float64]]]
) -> list[tuple[onnx.NodeProto, NDArray[np.float64]]]:
    by_layer: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        by_layer.setdefault(node.name.split(LAYER_SEPARATOR)[0], []).append(node)
    matched = {
        node.name: wanted
        for layer, nodes in by_layer.items()
        if len(nodes) == len(outputs.get(layer, []))
        for node, wanted in zip(nodes, outputs[layer], strict=True)
    }
    return [(node, matched[node.name]) for node in model.graph.node if node.name in matched]
