import copy
import math
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torchvision.models import get_model_weights

from export.conversion import convert, count_macs, joined, with_logit_outputs
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import read_onnx
from tests.support.conversions import ENSEMBLE, Conversions
from tests.support.seeded_network import seeded_network
from train.checkpoint import build_network, load_checkpoint
from train.network import UNet
from train.own_network import OwnNetwork


def network_of(run_folder: Path) -> UNet:
    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    assert isinstance(network, UNet)
    return network


def session_of(model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def test_the_file_is_self_sufficient_standard_onnx(model: Path) -> None:
    proto = onnx.load(model, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 20)]
    assert {node.domain for node in proto.graph.node} == {""}
    assert not proto.functions
    assert all(not tensor.external_data for tensor in proto.graph.initializer)
    assert list(model.parent.glob("*.data")) == []
    assert proto.graph.node[-1].op_type == "Sigmoid"


def test_the_file_states_nothing_of_the_machine_that_made_it(model: Path) -> None:
    content = model.read_bytes()
    for trace in (Path(__file__).resolve().parents[2], Path(sys.prefix), Path.home()):
        assert str(trace).encode() not in content


def test_input_and_output_are_those_of_the_contract(model: Path) -> None:
    (image,), (probability,) = session_of(model).get_inputs(), session_of(model).get_outputs()
    assert (image.name, image.type, image.shape) == (
        "image",
        "tensor(float)",
        ["batch", 3, "height", "width"],
    )
    assert (probability.name, probability.type, probability.shape) == (
        "probability",
        "tensor(float)",
        ["batch", 1, "height", "width"],
    )


@pytest.mark.parametrize("arch", ["scratch", ENSEMBLE])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_networks_give_pytorchs_probabilities(
    arch: str,
    batch: int,
    size: tuple[int, int],
    phantom_data: Dataset,
    conversions: Conversions,
) -> None:
    networks, graph = conversions[arch]
    samples = phantom_data.split("valid").samples[:batch]
    images = np.stack([to_input(load_scan(sample.path, size).pixels) for sample in samples])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["probability"], {"image": images})
    with torch.no_grad():
        each = [torch.sigmoid(network(torch.from_numpy(images))) for network in networks]
        expected = torch.stack(each).mean(0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.std() > 0.0


def test_a_swin_graph_takes_any_batch_of_its_one_size(conversions: Conversions) -> None:
    # In the first stage a feature has windows of 7 with a rest, in the third it is within one.
    (network,), model = conversions["swin"]
    assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for value in (*session.get_inputs(), *session.get_outputs()):
        assert (value.shape[0], *value.shape[2:]) == ("batch", 64, 64)
    for batch in (1, 2, 5):
        images = torch.rand(batch, 3, 64, 64)
        with torch.no_grad():
            expected = torch.sigmoid(network(images)).numpy()
        (found,) = session.run(None, {"image": images.numpy()})
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.std() > 0.1


@pytest.mark.parametrize(
    ("arch", "model"), [("resnet34", "resnet34"), ("resnet50", "resnet50"), ("swin", "swin_t")]
)
def test_macs_of_an_encoder_are_those_torchvision_states(arch: str, model: str) -> None:
    with torch.device("meta"):
        encoder = UNet(arch, 4).encoder.eval()
        found = count_macs(encoder, 224)
    # In thousand million, with the classifier's, which has a thousand outputs.
    classifier = 1000 * encoder.channels[-1]
    stated = get_model_weights(model)["IMAGENET1K_V1"].meta["_ops"]
    assert (found + classifier) / 1e9 == pytest.approx(stated, abs=0.001)


def test_an_image_gives_the_same_alone_and_in_a_batch(model: Path, phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples[:8]
    images = np.stack([to_input(load_scan(sample.path, (64, 64)).pixels) for sample in samples])
    session = session_of(model)
    (together,) = session.run(None, {"image": images})
    for index in range(len(images)):
        (alone,) = session.run(None, {"image": images[index : index + 1]})
        np.testing.assert_allclose(alone[0], together[index], atol=1e-6)


def test_parameters_and_macs_are_those_of_the_graph(model: Path) -> None:
    metadata = read_onnx(model).metadata
    assert metadata is not None
    proto = onnx.load(model)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for side, length in zip(value.type.tensor_type.shape.dim, (1, 0, 32, 32), strict=True):
            if length:
                side.dim_value = length
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (
            *onnx.shape_inference.infer_shapes(proto).graph.value_info,
            *proto.graph.input,
            *proto.graph.output,
        )
    }
    weights = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    macs = 0
    for node in proto.graph.node:
        if node.op_type == "Conv":
            macs += math.prod(shapes[node.output[0]][2:]) * math.prod(weights[node.input[1]])
        elif node.op_type == "ConvTranspose":
            macs += math.prod(shapes[node.input[0]][2:]) * math.prod(weights[node.input[1]])
    assert metadata.network.macs == macs


def test_macs_grow_with_the_area(run_folder: Path) -> None:
    network = network_of(run_folder)
    assert count_macs(network, 64) == 4 * count_macs(network, 32)


def test_the_logit_copy_leaves_the_model_as_it_is(converted_run: onnx.ModelProto) -> None:
    model = copy.deepcopy(converted_run)
    before = model.SerializeToString()
    changed = with_logit_outputs(model)
    onnx.checker.check_model(changed, full_check=True)
    assert model.SerializeToString() == before
    assert [output.name for output in changed.graph.output] == ["probability", "logit_0"]


def test_a_graph_of_several_networks_is_as_other_tests_put_it_together(
    conversions: Conversions,
) -> None:
    """PyTorch takes seconds for each member, so those put graphs of one network side by side."""
    with torch.random.fork_rng():
        arch = "tests.support.tiny_network:tiny_network"
        networks = [OwnNetwork(arch, width, 64).eval() for width in (2, 3)]
    graph = convert(networks, InputSpec(64, 64, multiple=32))
    names = {node.name for node in graph.graph.node}
    # A normalization names the convolution that it is folded into.
    layers = [f"network.module.{name}" for name in ("1/Conv", "2/Relu", "3/Conv")]
    assert names == {
        *(f"members.0.{layer}" for layer in layers),
        *(f"members.1.{layer}" for layer in layers),
        *(ends := {"members.0/Sigmoid", "members.1/Sigmoid", "Add", "Div"}),
    }
    assert ends < {node.name for node in conversions[ENSEMBLE][1].graph.node}
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    images = torch.rand(2, 3, 64, 96)
    (found,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, joined(networks)(images), atol=1e-5)


def test_several_networks_become_the_mean_of_their_probabilities() -> None:
    networks = [seeded_network("scratch", seed) for seed in range(3)]
    images = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = torch.stack([torch.sigmoid(network(images)) for network in networks]).mean(0)
        torch.testing.assert_close(joined(networks)(images), expected)
