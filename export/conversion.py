"""A PyTorch network to an ONNX graph with a sigmoid at its end."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import onnx
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from runtime.errors import ParityError
from runtime.metadata import INPUT_NAME, OUTPUT_NAME
from train.network import UNet

OPSET = 20
IR_VERSION = 10
LOGIT_NAME = "logit"
_DIMENSIONS = ("batch", "height", "width")


class WithSigmoid(nn.Module):
    """A network that ends in a sigmoid: image in, probability out."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Turn float [N, 3, H, W] in [0, 1] into probabilities [N, 1, H, W]."""
        return torch.sigmoid(self.network(image))


def convert(network: UNet) -> onnx.ModelProto:
    """Convert a network in eval mode to ONNX, with a dynamic batch, height and width.

    Input and output are named and shaped as section 5 of the design says. The graph is checked by
    `onnx.checker`, holds standard operators of one opset alone, and no trace of the machine that
    made it.

    Raises:
        ParityError: PyTorch's exporter gave a graph of another form.
    """
    # Two images of unequal sides, so that no dimension is taken for a constant or for another one.
    example = torch.rand(2, 3, 4 * network.multiple, 5 * network.multiple)
    batch, height, width = _DIMENSIONS
    with _quiet():
        program = torch.onnx.export(
            WithSigmoid(network).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={"image": {0: batch, 2: height, 3: width}},
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = onnx.ModelProto()
    model.CopyFrom(program.model_proto)
    _clean(model)
    _check(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_logit_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that also gives the input of its last sigmoid, as output "logit"."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (sigmoid,) = (node for node in copy.graph.node if OUTPUT_NAME in node.output)
    logit = sigmoid.input[0]
    (producer,) = (node for node in copy.graph.node if logit in node.output)
    producer.output[list(producer.output).index(logit)] = LOGIT_NAME
    sigmoid.input[0] = LOGIT_NAME
    output = copy.graph.output.add()
    output.CopyFrom(copy.graph.output[0])
    output.name = LOGIT_NAME
    return copy


def count_macs(network: UNet, size: int) -> int:
    """Return the multiply-accumulate operations of one image of `size` x `size`.

    Counted by PyTorch (`torch.utils.flop_counter`, two operations each): convolutions alone, as
    normalisation, activations and pooling come to well under one per cent.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops() // 2)


def _clean(model: onnx.ModelProto) -> None:
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
            side.dim_param = name
        sides[1].dim_value = channels


def _check(model: onnx.ModelProto) -> None:
    domains = {node.domain for node in model.graph.node}
    opsets = [(entry.domain, entry.version) for entry in model.opset_import]
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    standard = domains <= {"", "ai.onnx"} and not model.functions and opsets == [("", OPSET)]
    if not standard or names != [INPUT_NAME, OUTPUT_NAME]:
        raise ParityError(
            f"export: expected standard operators of opset {OPSET} from {INPUT_NAME!r} to "
            f"{OUTPUT_NAME!r}, found {opsets} from {names}"
        )
    if model.graph.node[-1].op_type != "Sigmoid":
        raise ParityError(
            f"export: expected a sigmoid at the end, found {model.graph.node[-1].op_type}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from printing, logging and warning; its result is checked instead."""
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
