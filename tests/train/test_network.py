from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from train.config import ARCHITECTURES, TrainConfig
from train.encoders import ENCODERS, IMAGENET_MEAN, IMAGENET_STD, ResNet50Encoder
from train.network import UNet


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


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


def test_the_registry_and_the_config_name_the_same_architectures() -> None:
    assert tuple(ENCODERS) == ARCHITECTURES
    for arch in ARCHITECTURES:
        with torch.device("meta"):
            assert UNet(arch, 4).multiple == TrainConfig(data="", arch=arch).multiple


@pytest.mark.parametrize("arch", ARCHITECTURES)
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


def test_the_resnet_encoder_is_torchvisions_behind_a_normalisation() -> None:
    encoder = UNet("resnet50", 4).encoder.eval()
    reference = resnet50(weights=None).eval()
    assert isinstance(encoder, ResNet50Encoder)
    reference.load_state_dict(encoder.backbone.state_dict(), strict=False)
    images = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    layers = nn.Sequential(*list(reference.children())[:-2])
    with torch.no_grad():
        expected = layers((images - mean) / std)
        features = encoder(images)
    torch.testing.assert_close(features[-1], expected)
    assert [f.shape[1] for f in features] == list(encoder.channels)
    assert [f.shape[2] for f in features] == [32, 16, 8, 4, 2]


def test_strides_on_the_1x1_convolutions_change_no_shape() -> None:
    encoder = UNet("resnet50", 4).encoder.eval()
    assert isinstance(encoder, ResNet50Encoder)
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
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    optimiser.step()
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert not any(name.startswith("encoder.") for name in changed)
    assert any(name.endswith("running_mean") for name in changed)
    assert any(name.startswith("head.") for name in changed)
    assert all(parameter.grad is None for parameter in network.encoder.parameters())


def test_an_encoder_that_is_not_frozen_is_trained() -> None:
    network = UNet("scratch", 2).train()
    network(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
