"""The encoders against torchvision's networks."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from runtime.core.errors import ConfigError
from tests.support.encoders import PRETRAINED
from tests.support.small_backbones import use_small_backbones
from train.architectures import Architecture
from train.encoders import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ResNetEncoder,
    TorchvisionEncoder,
)
from train.network import UNet


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("arch", "model"), PRETRAINED.items())
def test_an_encoder_is_torchvisions_without_its_classifier(arch: str, model: str) -> None:
    with torch.device("meta"):
        encoder = UNet(arch, 4).encoder
        whole = get_model(model, weights=None)
    stated = get_model_weights(model)["IMAGENET1K_V1"].meta["num_params"]
    classifier = [whole.norm, whole.head] if arch == "swin" else [whole.fc]
    assert parameters(encoder) == stated - sum(parameters(part) for part in classifier)


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


def test_strides_on_the_1x1_convolutions_change_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)
    encoder = UNet("resnet50", 4).encoder.eval()
    assert isinstance(encoder, ResNetEncoder)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(images)
        encoder.move_strides_to_1x1()
        after = encoder(images)
    assert [f.shape for f in before] == [f.shape for f in after]
    assert not torch.allclose(before[-1], after[-1])


def test_the_normalization_is_imagenets() -> None:
    means, deviations = IMAGENET_MEAN, IMAGENET_STD  # red, green, blue: torchvision's recipe
    preset = get_model_weights("resnet50")["IMAGENET1K_V1"].transforms()
    assert (list(means), list(deviations)) == (preset.mean, preset.std)
