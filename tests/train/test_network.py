from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from tests.support.small_backbones import use_small_backbones
from train.architectures import ARCHITECTURES
from train.network import UNet, UpConvolution

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


@pytest.mark.parametrize("arch", UNETS)
def test_logits_have_the_size_of_the_input(arch: str, small_backbones: None) -> None:
    network = UNet(arch, 4).eval()
    height, width = 2 * network.multiple, 3 * network.multiple
    with torch.no_grad():
        logits = network(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 1, height, width)


@pytest.mark.parametrize("arch", UNETS)
def test_every_feature_reaches_the_decoder(arch: str, small_backbones: None) -> None:
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


def test_a_frozen_encoder_takes_no_gradient_and_its_statistics_stay(small_backbones: None) -> None:
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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_doubling_the_size_is_pytorchs_transposed_convolution(layout: torch.memory_format) -> None:
    own = UpConvolution(6, 3).double()
    reference = nn.ConvTranspose2d(6, 3, 2, stride=2).double()
    reference.load_state_dict(own.state_dict())
    image = torch.rand(2, 6, 5, 4, dtype=torch.double).contiguous(memory_format=layout)
    found, expected = (image.clone().requires_grad_() for _ in range(2))
    result, target = own(found), reference(expected)
    torch.testing.assert_close(result, target)
    weights = torch.rand_like(target)
    (result * weights).sum().backward()
    (target * weights).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
    torch.testing.assert_close(own.weight.grad, reference.weight.grad)
    assert own.bias is not None
    assert reference.bias is not None
    torch.testing.assert_close(own.bias.grad, reference.bias.grad)
    assert torch.equal(own.eval()(image), reference(image))
