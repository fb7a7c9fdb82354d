from pathlib import Path

import pytest
import torch

from runtime.core.errors import CheckpointError, ConfigError
from train.architectures import find_architecture
from train.encoders import IMAGENET_MEAN, IMAGENET_STD
from train.network import make_network
from train.smp_network import SmpNetwork
from train.weights import load_encoder_weights

smp = pytest.importorskip("segmentation_models_pytorch")


@pytest.fixture(scope="module")
def network() -> SmpNetwork:
    network = make_network("smp:FPN:mobilenet_v2", 4, 64)
    assert isinstance(network, SmpNetwork)
    return network.eval()


def test_logits_are_the_librarys_behind_a_normalization(network: SmpNetwork) -> None:
    reference = smp.FPN("mobilenet_v2", encoder_weights=None).eval()
    assert network.encoder is not None
    reference.encoder.load_state_dict(network.encoder.state_dict())
    reference.decoder.load_state_dict(network.decoder.state_dict())
    reference.segmentation_head.load_state_dict(network.head.state_dict())
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference((images - mean) / std))


def test_a_size_is_a_multiple_of_32_also_where_a_decoder_keeps_finer_features() -> None:
    network = make_network("smp:DeepLabV3Plus:mobilenet_v2", 4, 64)
    assert network.encoder is not None
    assert network.encoder.output_stride == 16
    assert network.multiple == find_architecture(network.arch).multiple == 32


def test_the_encoder_takes_weights_and_can_be_frozen(tmp_path: Path) -> None:
    given = make_network("smp:FPN:mobilenet_v2", 4, 64)
    taken = make_network("smp:FPN:mobilenet_v2", 4, 64)
    assert given.encoder is not None
    assert taken.encoder is not None
    assert isinstance(taken, SmpNetwork)
    state = {**given.encoder.state_dict(), "classifier.1.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "w.pth")
    load_encoder_weights(taken, str(tmp_path / "w.pth"))
    for name, value in taken.encoder.state_dict().items():
        assert torch.equal(value, state[name])
    taken.freeze_encoder()
    taken.train()
    trained = {name.split(".")[0] for name, p in taken.named_parameters() if p.requires_grad}
    assert trained == {"decoder", "head"}
    assert not taken.encoder.training


def test_weights_of_another_encoder_are_refused(network: SmpNetwork, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="segmentation_models_pytorch's mobilenet_v2 weights"):
        load_encoder_weights(network, str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("smp:Unett:resnet18", "no such decoder; did you mean unet"),
        ("smp:Unet:resnet19", "no such encoder; did you mean resnet18"),
        ("smp:linknet:mit_b0", "not supported"),
        ("smp:PAN:resnet18", "the network fails on an image of 64x64"),
    ],
)
def test_a_network_that_cannot_be_made_is_refused(arch: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"arch {arch}: .*{message}"):
        make_network(arch, 4, 64)
