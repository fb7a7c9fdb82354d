from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights, resnet50

from runtime.core.errors import ConfigError
from tests.support.small_backbones import use_small_backbones
from train.architectures import ARCHITECTURES, Architecture
from train.config import TrainConfig
from train.encoders import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ResNetEncoder,
    TorchvisionEncoder,
)
from train.network import UNet, make_network

PRETRAINED = {"resnet34": "resnet34", "resnet50": "resnet50", "swin": "swin_t"}
"""The UNets with an encoder of torchvision's, and its name there."""
UNETS = [arch for arch, entry in ARCHITECTURES.items() if entry.encoder is not None]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_full_width_networks_have_the_designs_sizes() -> None:
    with torch.device("meta"):
        scratch, pretrained = UNet("scratch"), UNet("resnet50")
    assert round(parameters(scratch) / 1e6, 2) == 31.04
    assert round(parameters(pretrained) / 1e6) == 72
    assert round(parameters(pretrained.encoder) / 1e6, 1) == 23.5
    backbone = resnet50(weights=None)
    assert parameters(pretrained.encoder) == parameters(backbone) - parameters(backbone.fc)


@pytest.mark.parametrize(("arch", "model"), PRETRAINED.items())
def test_an_encoder_is_torchvisions_without_its_classifier(arch: str, model: str) -> None:
    with torch.device("meta"):
        encoder = UNet(arch, 4).encoder
        whole = get_model(model, weights=None)
    stated = get_model_weights(model)["IMAGENET1K_V1"].meta["num_params"]
    classifier = [whole.norm, whole.head] if arch == "swin" else [whole.fc]
    assert parameters(encoder) == stated - sum(parameters(part) for part in classifier)


def test_the_table_states_what_the_networks_have() -> None:
    backbones = {a.name: a.backbone for a in ARCHITECTURES.values() if a.pretrained}
    assert backbones == PRETRAINED | {"unetr": "vit_b_16"}
    assert all(ARCHITECTURES[arch].weights_license for arch in backbones)
    for arch in ARCHITECTURES:
        with torch.device("meta"):
            network = make_network(arch, 4, 64)
        assert network.multiple == TrainConfig(data="", arch=arch).multiple


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            Architecture("new", "", "train.encoders:ScratchEncoder", backbone="resnet34"),
            "arch new: ScratchEncoder has no backbone",
        ),
        (
            Architecture("new", "", "train.encoders:ResNetEncoder"),
            "arch new: ResNetEncoder needs a backbone in ARCHITECTURES",
        ),
    ],
)
def test_an_encoder_whose_weights_would_never_be_loaded_is_refused(
    entry: Architecture, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.architectures.ARCHITECTURES", {"new": entry})
    with pytest.raises(ConfigError) as error:
        UNet("new", 4)
    assert str(error.value) == message


@pytest.mark.parametrize("arch", UNETS)
def test_logits_have_the_size_of_the_input(arch: str) -> None:
    network = UNet(arch, 4).eval()
    height, width = 2 * network.multiple, 3 * network.multiple
    with torch.no_grad():
        logits = network(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 1, height, width)


def test_the_pyramid_of_the_scratch_encoder_halves_and_doubles() -> None:
    encoder = UNet("scratch", 4).encoder.eval()
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, 256, 256))
    assert [tuple(f.shape[1:]) for f in features] == [
        (4, 256, 256), (8, 128, 128), (16, 64, 64), (32, 32, 32), (64, 16, 16)
    ]  # fmt: skip


@pytest.mark.parametrize(("arch", "model"), PRETRAINED.items())
def test_features_are_torchvisions_behind_a_normalization(arch: str, model: str) -> None:
    encoder = UNet(arch, 4).encoder.eval()
    assert isinstance(encoder, TorchvisionEncoder)
    reference = get_model(model, weights=None).eval()
    missing, unknown = reference.load_state_dict(encoder.backbone.state_dict(), strict=False)
    assert not unknown
    assert all(name.startswith(encoder.classifier_prefixes) for name in missing)
    images = torch.rand(1, 3, 64, 96)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        if arch == "swin":
            expected = reference.features((images - mean) / std).permute(0, 3, 1, 2)
        else:
            layers = nn.Sequential(*list(reference.children())[:-2])
            expected = layers((images - mean) / std)
        features = encoder(images)
    torch.testing.assert_close(features[-1], expected)
    assert [f.shape[1] for f in features] == list(encoder.channels)
    strides = [2, 4, 8, 16, 32][-len(features) :]
    assert strides[0] == encoder.finest_stride
    assert [tuple(f.shape[2:]) for f in features] == [(64 // s, 96 // s) for s in strides]


def test_channels_are_the_papers() -> None:
    with torch.device("meta"):
        channels = {arch: UNet(arch, 4).encoder.channels for arch in PRETRAINED}
    assert channels == {
        "resnet34": (64, 64, 128, 256, 512),
        "resnet50": (64, 256, 512, 1024, 2048),
        "swin": (96, 192, 384, 768),
    }


@pytest.mark.parametrize("arch", UNETS)
def test_every_feature_reaches_the_decoder(arch: str) -> None:
    network = UNet(arch, 2).eval()
    taken: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, features: list[torch.Tensor]) -> None:
        for feature in features:
            feature.retain_grad()
        taken.extend(features)

    network.encoder.register_forward_hook(keep)
    network(torch.rand(1, 3, 32, 32)).sum().backward()
    assert len(taken) == len(network.encoder.channels)
    assert all(feature.grad is not None and feature.grad.any() for feature in taken)


def test_strides_on_the_1x1_convolutions_change_no_shape() -> None:
    encoder = UNet("resnet50", 4).encoder.eval()
    assert isinstance(encoder, ResNetEncoder)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(images)
        encoder.move_strides_to_1x1()
        after = encoder(images)
    assert [f.shape for f in before] == [f.shape for f in after]
    assert not torch.allclose(before[-1], after[-1])


def test_a_frozen_encoder_takes_no_gradient_and_its_statistics_stay() -> None:
    network = UNet("resnet50", 2)
    network.freeze_encoder()
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    optimizer.step()
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert not any(name.startswith("encoder.") for name in changed)
    assert any(name.endswith("running_mean") for name in changed)
    assert any(name.startswith("head.") for name in changed)
    assert all(parameter.grad is None for parameter in network.encoder.parameters())


@pytest.mark.parametrize("arch", ["resnet34", "swin"])
def test_an_encoder_that_is_unfrozen_is_trained_but_for_its_statistics(
    arch: str, small_backbones: None
) -> None:
    network = UNet(arch, 2)
    network.freeze_encoder()
    network.train()
    assert not network.encoder.training
    network.unfreeze_encoder()
    for training in (True, False, True):
        network.train(training)
        # Swin leaves blocks out at random in this mode alone.
        assert network.encoder.training is training
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.rand(4, 3, 64, 64)).square().mean().backward()
    optimizer.step()
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert all(p.requires_grad and p.grad is not None for p in network.encoder.parameters())
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert {name.split(".")[0] for name in changed & statistics} == {"decoder"}
    weights = {name for name, _ in network.encoder.named_parameters()}
    assert len({n for n in changed if n.removeprefix("encoder.") in weights}) > len(weights) // 2


def test_an_encoder_that_is_not_frozen_is_trained() -> None:
    network = UNet("scratch", 2).train()
    network(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_gradients_are_recorded_in_an_encoder_that_is_trained_alone(
    small_backbones: None, frozen: bool, recorded: bool
) -> None:
    network = UNet("resnet34", 2).train()
    if frozen:
        network.freeze_encoder()
    found: list[bool] = []
    network.encoder.register_forward_hook(
        lambda _module, _inputs, features: found.extend(f.requires_grad for f in features)
    )
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    with torch.set_grad_enabled(recorded):
        logits = network(images)
    assert set(found) == {recorded and not frozen}
    assert logits.requires_grad is recorded


def test_the_normalization_is_imagenets() -> None:
    means, deviations = IMAGENET_MEAN, IMAGENET_STD  # red, green, blue: torchvision's recipe
    preset = get_model_weights("resnet50")["IMAGENET1K_V1"].transforms()
    assert (list(means), list(deviations)) == (preset.mean, preset.std)
