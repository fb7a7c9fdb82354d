"""Which layers are converted to INT8."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch

from export.variants.layer_choice import LayerChoice
from export.variants.pixel_shuffle import shuffle_pixels
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.metadata import InputSpec
from tests.support.layer_speeds import fast
from tests.support.quick_conversion import Convert
from train.network import UNet

SPEC = InputSpec(32, 32, multiple=16)


def choice(model: onnx.ModelProto, data: Dataset) -> LayerChoice:
    return LayerChoice(
        shuffle_pixels(model),
        data.split("train").samples,
        (32, 32),
        threads=1,
        on_progress=None,
    )


def test_a_layer_without_gain_and_the_logits_stay_float32(
    plain: onnx.ModelProto, phantom_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "network.encoder.levels.0.1/Conv"
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast({slow}))
    first = next(choice(plain, phantom_data).candidates())
    reasons = {layer.name: layer.reason for layer in first.unconverted}
    assert reasons.keys() == {slow, "network.head/Conv"}
    assert reasons[slow] == "saves less than 5 % of its time: 0.98 ms in INT8, 1 ms in float32"
    assert "logits" in reasons["network.head/Conv"]
    assert first.unconverted[0].weight == "network.encoder.levels.0.0.weight"


def test_the_layers_that_cost_accuracy_are_found(
    phantom_data: Dataset, quick_convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One channel a thousand times as large and read a thousand times as weakly is the same network
    # in float32; in eight bits the other channels of that feature vanish.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", 4)
        network.train()(torch.rand(4, 3, 32, 32))
    network.eval()
    samples = phantom_data.split("train").samples
    inputs = np.stack([to_input(load_scan(sample.path, (32, 32)).pixels) for sample in samples])
    with torch.no_grad():
        _, norm, _, reader, *_ = network.decoder[2].convs  # type: ignore[misc]
        norm.weight[0] *= 1e3
        norm.bias[0] *= 1e3
        reader.weight[:, 0] /= 1e3
        logits = network(torch.from_numpy(inputs))  # spread, so that a change shows
        network.head.weight.mul_(4.0 / logits.std())
        network.head.bias.sub_(logits.mean()).mul_(4.0 / logits.std())  # type: ignore[union-attr]
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
    model = quick_convert([network], SPEC)
    candidates = choice(model, phantom_data).candidates()
    proposed = [{layer.name for layer in candidate.unconverted} for candidate in candidates]
    head = {"network.head/Conv"}
    assert [len(kept - head) for kept in proposed] == [0, 1, 2, 4, 8, 16]
    both = {"network.decoder.2.convs.1/Conv", "network.decoder.2.convs.4/Conv"}
    assert proposed[2] == head | both
    for fewer, more in pairwise(proposed):
        assert fewer < more
