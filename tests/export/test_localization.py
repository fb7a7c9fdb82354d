"""A wrong layer is found by its name, in whichever place it is."""

import copy

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.localization import first_difference
from tests.support.conversions import ENSEMBLE, Conversions

IMAGES = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)


def disturb(model: onnx.ModelProto, weight: str) -> None:
    (tensor,) = (t for t in model.graph.initializer if t.name == weight)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.5), weight))


@pytest.mark.parametrize(
    ("arch", "weight", "layer"),
    [
        ("scratch", "network.encoder.levels.2.3.weight", "network.encoder.levels.2.4"),
        ("scratch", "network.decoder.1.up.weight", "network.decoder.1.up"),
        ("scratch", "network.head.weight", "network.head"),
        (
            ENSEMBLE,
            "members.1.network.encoder.backbone.layer2.0.conv2.weight",
            "members.1.network.encoder.backbone.layer2.0.bn2",
        ),
        (
            ENSEMBLE,
            "members.1.network.encoder.backbone.layer3.0.downsample.0.weight",
            "members.1.network.encoder.backbone.layer3.0.downsample.1",
        ),
    ],
)
def test_a_wrong_weight_is_named(
    arch: str, weight: str, layer: str, conversions: Conversions
) -> None:
    networks, sound = conversions[arch]
    model = copy.deepcopy(sound)
    assert first_difference(model, networks, IMAGES, threads=1) is None
    disturb(model, weight)
    found = first_difference(model, networks, IMAGES, threads=1)
    assert found is not None
    assert (found.layer, found.operator) == (layer, model_operator(model, weight))
    assert found.relative > 0.01


def model_operator(model: onnx.ModelProto, weight: str) -> str:
    (node,) = (node for node in model.graph.node if weight in node.input)
    return str(node.op_type)


def test_a_member_of_an_ensemble_is_named(conversions: Conversions) -> None:
    networks, sound = conversions[ENSEMBLE]
    model = copy.deepcopy(sound)
    disturb(model, "members.1.network.decoder.0.convs.3.weight")
    found = first_difference(model, networks, IMAGES, threads=1)
    assert found is not None
    assert found.layer == "members.1.network.decoder.0.convs.4"


def test_a_wrong_stride_is_named(conversions: Conversions) -> None:
    networks, sound = conversions[ENSEMBLE]
    model = copy.deepcopy(sound)
    name = "members.1.network.encoder.backbone.maxpool"
    (pool,) = (node for node in model.graph.node if node.name == f"{name}/MaxPool")
    (pads,) = (attribute for attribute in pool.attribute if attribute.name == "pads")
    # Shifted by a pixel, the same size: what a wrong padding of an exporter looks like.
    pads.ints[:] = [2, 2, 0, 0]
    found = first_difference(model, networks, IMAGES, threads=1)
    assert found is not None
    assert (found.layer, found.operator) == (name, "MaxPool")
