"""Conversions in milliseconds: a graph of PyTorch's exporter, with the weights of another network.

A scratch network of any width has the same graph, so one conversion serves all.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import onnx
from onnx import compose, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.conversion import LAYER_SEPARATOR, WithSigmoid
from runtime.model.metadata import OUTPUT_NAME, InputSpec
from train.network import UNet

Convert = Callable[[Sequence[UNet], InputSpec], onnx.ModelProto]


def fused(network: nn.Module) -> nn.Module:
    """A copy whose normalization PyTorch has folded into the convolutions before it."""
    result = copy.deepcopy(network)
    for module in list(result.modules()):
        children = list(module.named_children())
        for (name, conv), (other, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, other, nn.Identity())
    return result


def quick_conversion(scratch: onnx.ModelProto) -> Convert:
    """Return what stands for `convert` where networks from scratch are exported.

    Args:
        scratch: the graph of such a network, as `convert` returned it.
    """

    def convert(networks: Sequence[UNet], spec: InputSpec) -> onnx.ModelProto:
        assert spec.multiple, "the graph has a dynamic size"
        return side_by_side([_with_weights(scratch, network) for network in networks])

    return convert


def _with_weights(graph: onnx.ModelProto, network: UNet) -> onnx.ModelProto:
    assert network.arch == "scratch", "the graph is one of a network from scratch"
    weights = WithSigmoid(fused(network.eval())).state_dict()  # type: ignore[arg-type]
    model = copy.deepcopy(graph)
    for tensor in model.graph.initializer:
        # What a normalization adds is named after the weight of the convolution before it.
        values = weights[tensor.name.replace(".weight_bias", ".bias")]
        tensor.CopyFrom(numpy_helper.from_array(values.numpy(), tensor.name))
    return model


def side_by_side(graphs: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Return a graph alone, or several and the mean of their outputs."""
    if len(graphs) == 1:
        return graphs[0]
    model, total = copy.deepcopy(graphs[0]), ""
    del model.graph.node[:], model.graph.initializer[:]
    for index, graph in enumerate(graphs):
        prefix = f"members.{index}."
        member = compose.add_prefix(graph, prefix, rename_inputs=False).graph
        for node in member.node:
            if LAYER_SEPARATOR not in node.name:  # of no layer within the member
                node.name = node.name.replace(prefix, f"members.{index}{LAYER_SEPARATOR}")
        model.graph.node.extend(member.node)
        model.graph.initializer.extend(member.initializer)
        output = prefix + OUTPUT_NAME
        if total:
            model.graph.node.append(
                helper.make_node("Add", [total, output], [f"sum_{index}"], "Add")
            )
        total = f"sum_{index}" if total else output
    model.graph.initializer.append(helper.make_tensor("count", 1, [], [float(len(graphs))]))
    model.graph.node.append(helper.make_node("Div", [total, "count"], [OUTPUT_NAME], name="Div"))
    return model
