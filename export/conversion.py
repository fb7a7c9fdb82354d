"""PyTorch networks to an ONNX graph with a sigmoid at its end, or the mean of several."""

import ast
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import onnx
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from runtime.core.errors import ParityError, first_line
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME, InputSpec
from train.network import SegmentationNetwork

OPSET = 20
IR_VERSION = 10
LAYER_SEPARATOR = "/"
"""Separates the layer and the operator in a node's name."""
_SMALLEST_SIDE = 64
"""Pixels of a side that the exporter sees; no pooling is left without a pixel."""
_START_S, _LAYER_S = 5.0, 0.1
"""PyTorch's conversion on a common machine: of any network, and for each of its layers."""
_DIMENSIONS = ("batch", "height", "width")
_SCOPES = "pkg.torch.onnx.name_scopes"


class WithSigmoid(nn.Module):
    """A network that ends in a sigmoid: image in, probability out."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Turn float [N, 3, H, W] in [0, 1] into probabilities [N, 1, H, W]."""
        return torch.sigmoid(self.network(image))


class MeanProbability(nn.Module):
    """The mean of several networks' probabilities: image in, probability out."""

    def __init__(self, networks: Sequence[SegmentationNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(WithSigmoid(network) for network in networks)

    def forward(self, image: Tensor) -> Tensor:
        """Turn float [N, 3, H, W] in [0, 1] into probabilities [N, 1, H, W]."""
        first, *others = (member(image) for member in self.members)
        # A division, because a product with a rounded 1/n may exceed 1.
        return sum(others, first) / len(self.members)  # type: ignore[no-any-return]


def joined(networks: Sequence[SegmentationNetwork]) -> WithSigmoid | MeanProbability:
    """Return the networks as one module, whose paths are the layer names of `convert`."""
    copies = [copy.deepcopy(network).eval() for network in networks]
    return WithSigmoid(copies[0]) if len(copies) == 1 else MeanProbability(copies)


def expected_seconds(networks: Sequence[nn.Module]) -> float:
    """Return about how long `convert` takes on a common machine, in seconds.

    Its time grows with the number of layers, and hardly with their width. Transformers take about
    twice as long.

    Example:
        >>> expected_seconds([nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())])
        5.2
    """
    modules = (module for network in networks for module in network.modules())
    return _START_S + _LAYER_S * sum(not list(module.children()) for module in modules)


def convert(networks: Sequence[SegmentationNetwork], spec: InputSpec) -> onnx.ModelProto:
    """Convert a network in eval mode, or several side by side, to one ONNX graph.

    Names and shapes are those of docs/architecture.md, section 5: the batch is dynamic,
    height and width are too, unless `spec` allows only its own size. The output of several
    networks is the mean of their probabilities. Nodes are named after their layer and operator
    ("network.decoder.0.up/ConvTranspose"). The graph holds standard operators of one opset, passes
    `onnx.checker`, and holds no trace of the machine that made it.

    Raises:
        ParityError: PyTorch cannot convert the networks, or returned another kind of graph.
    """
    # Two images with unequal sides: the exporter cannot mistake one dimension for another.
    if spec.multiple:
        smallest = max(4, -(-_SMALLEST_SIDE // spec.multiple))
        sides = (smallest * spec.multiple, (smallest + 1) * spec.multiple)
        dynamic = dict(zip((0, 2, 3), _DIMENSIONS, strict=True))
    else:
        sides = (spec.height, spec.width)
        dynamic = {0: _DIMENSIONS[0]}
    # A frozen encoder switches gradients off. If they were on outside of it, the exporter would put
    # the encoder into a function of its own, and lose the names of its layers.
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                joined(networks).eval(),
                (torch.rand(2, 3, *sides),),
                dynamo=True,
                dynamic_shapes={"image": dynamic},
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of torch.export, whose steps raise what they like
        raise ParityError(f"PyTorch cannot convert the network: {_cause(error)}") from error
    assert program is not None
    model = onnx.ModelProto()
    model.CopyFrom(program.model_proto)
    _name_nodes(model)
    _clean(model, {} if spec.multiple else {"height": spec.height, "width": spec.width})
    _check(model, len(networks))
    onnx.checker.check_model(model, full_check=True)
    return model


def with_logit_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with each member's logits as further outputs "logit_0", "logit_1", ..."""
    changed = copy.deepcopy(model)
    for index, sigmoid in enumerate(final_sigmoids(changed)):
        logit, name = sigmoid.input[0], logit_name(index)
        (producer,) = (node for node in changed.graph.node if logit in node.output)
        producer.output[list(producer.output).index(logit)] = name
        sigmoid.input[0] = name
        output = changed.graph.output.add()
        output.CopyFrom(changed.graph.output[0])
        output.name = name
    return changed


def logit_name(member: int) -> str:
    """Return the name of a member's logits in `with_logit_outputs`, 0 for the first member.

    Example:
        >>> logit_name(1)
        'logit_1'
    """
    return f"logit_{member}"


def count_macs(network: nn.Module, size: int) -> int:
    """Return the multiply-accumulate operations of one image of `size` x `size` pixels.

    They are those of convolutions and matrix products, as `torch.utils.flop_counter` counts them
    (two operations each). Normalization, activations and pooling add well under one per cent.

    Example:
        >>> count_macs(nn.Conv2d(3, 8, kernel_size=3, padding=1), size=16)  # 3 * 8 * 9 * 16 * 16
        55296
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops() // 2)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Name each node LAYER/OPERATOR, and number the second and later ones of a name.

    The layer is the path of the innermost module, from the notes of PyTorch's exporter. A batch
    normalization that was folded into a convolution gives the convolution its name.
    """
    seen: dict[str, int] = {}
    for node in model.graph.node:
        noted = {entry.key: entry.value for entry in node.metadata_props}
        scopes = ast.literal_eval(noted.get(_SCOPES, "[]"))
        layer = scopes[-2] if len(scopes) > 1 else ""
        name = f"{layer}{LAYER_SEPARATOR}{node.op_type}" if layer else node.op_type
        seen[name] = seen.get(name, 0) + 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def _clean(model: onnx.ModelProto, fixed: dict[str, int]) -> None:
    """Remove PyTorch's notes (which hold paths of the machine) and name the dimensions."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "seg-toolkit", ""
    model.doc_string = ""
    graph = model.graph
    graph.name, graph.doc_string = "segmentation", ""
    del graph.value_info[:]
    noted = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for part in noted:
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    for value, channels in ((graph.input[0], 3), (graph.output[0], 1)):
        sides = value.type.tensor_type.shape.dim
        for side, name in zip((sides[0], sides[2], sides[3]), _DIMENSIONS, strict=True):
            if name in fixed:
                side.dim_value = fixed[name]
            else:
                side.dim_param = name
        sides[1].dim_value = channels


def ensure_standard(model: onnx.ModelProto) -> None:
    """Check that a graph, of any variant, holds standard operators of one opset only.

    Raises:
        ParityError: it holds others, or functions, or its input or output has another name.
    """
    domains = {node.domain for node in model.graph.node}
    opsets = [(entry.domain, entry.version) for entry in model.opset_import]
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    standard = domains <= {"", "ai.onnx"} and not model.functions and opsets == [("", OPSET)]
    if not standard or names != [INPUT_NAME, OUTPUT_NAME]:
        raise ParityError(
            f"unsuitable graph: expected standard operators of opset {OPSET} from "
            f"{INPUT_NAME!r} to {OUTPUT_NAME!r}, found {opsets} and {sorted(domains)} from {names}"
        )


def _check(model: onnx.ModelProto, members: int) -> None:
    ensure_standard(model)
    found = len(final_sigmoids(model))
    if found != members:
        raise ParityError(
            f"PyTorch's exporter returned an unsuitable graph: expected {members} sigmoids at the "
            f"end, found {found}"
        )


def final_sigmoids(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the sigmoids whose mean is the output, in the order of the members.

    Raises:
        ParityError: there are other operators than sums and divisions between them and the output.
    """
    producers = {name: node for node in model.graph.node for name in node.output}

    def before(value: str) -> list[onnx.NodeProto]:
        node = producers.get(value)
        if node is None or node.op_type == "Constant":
            return []
        if node.op_type == "Sigmoid":
            return [node]
        if node.op_type not in ("Add", "Div"):
            raise ParityError(
                f"unsuitable graph: expected a sigmoid at the end, found {node.op_type}"
            )
        return [sigmoid for name in node.input for sigmoid in before(name)]

    return before(OUTPUT_NAME)


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost error, which names the layer or operator."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's prints, logs and warnings; its result is checked instead."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
