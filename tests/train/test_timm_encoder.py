from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from runtime.core.errors import CheckpointError, ConfigError
from train.network import UNet, make_network
from train.timm_encoder import TimmEncoder
from train.weights import load_encoder_weights

timm = pytest.importorskip("timm")


def encoder_of(name: str, size: int = 64) -> TimmEncoder:
    network = make_network(f"timm:{name}", 2, size)
    assert isinstance(network.encoder, TimmEncoder)
    return network.encoder.eval()


@pytest.fixture(scope="module")
def whole() -> Any:
    """A network with its classifier, which is how timm's weights come."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return timm.create_model("resnet10t").eval()


@pytest.fixture(scope="module")
def weights(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "resnet10t.safetensors"
    save_file(whole.state_dict(), path, {"license": "apache-2.0"})
    return path


def normalized(images: Tensor, whole: Any) -> Tensor:
    mean, std = (torch.tensor(whole.pretrained_cfg[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    return (images - mean) / std


def test_features_are_those_of_the_weights_behind_timms_normalization(
    whole: Any, weights: Path
) -> None:
    encoder = encoder_of("resnet10t")
    record = load_encoder_weights(encoder, str(weights))
    assert record.license == "apache-2.0"
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        features = encoder(images)
        expected = whole.forward_intermediates(normalized(images, whole), intermediates_only=True)
    for feature, wanted in zip(features, expected, strict=True):
        torch.testing.assert_close(feature, wanted)


# Features from 1/2, from 1/4, and with the channels last.
@pytest.mark.parametrize(
    ("name", "finest"),
    [("mobilenetv3_small_050", 2), ("convnext_atto", 4), ("swin_s3_tiny_224", 4)],
)
def test_features_halve_from_one_to_the_next(name: str, finest: int) -> None:
    with torch.device("meta"):
        encoder = encoder_of(name)
        features = encoder(torch.rand(1, 3, 64, 64))
    sides = [64 // (finest * 2**level) for level in range(len(features))]
    channels = encoder.channels
    assert [tuple(f.shape) for f in features] == [
        (1, c, s, s) for c, s in zip(channels, sides, strict=True)
    ]
    assert encoder.dynamic_size is (name != "swin_s3_tiny_224")


def test_rows_and_columns_stay_where_the_channels_are_last() -> None:
    last = torch.arange(24.0).reshape(1, 2, 3, 4)

    class Backbone(nn.Module):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [last]

    with torch.device("meta"):
        encoder = encoder_of("swin_s3_tiny_224")
    encoder.backbone, encoder.normalize = Backbone(), nn.Identity()  # type: ignore[assignment]
    (feature,) = encoder(torch.zeros(1))
    torch.testing.assert_close(feature, last.movedim(-1, 1))


def test_the_decoder_reaches_the_size_of_the_image() -> None:
    network = UNet("timm:resnet10t", 2, 64).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 96)).shape == (2, 1, 64, 96)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_weights_of_another_network_are_refused(whole: Any, fault: str, tmp_path: Path) -> None:
    state = dict(whole.state_dict())
    if fault == "missing":
        del state["layer1.0.conv1.weight"]
    elif fault == "unknown":
        state["layer9.weight"] = torch.zeros(1)
    else:
        state["fc.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "w.safetensors")
    expected = {"missing": "lacks layer1", "unknown": "unknown layer9", "shape": "shape of fc.bias"}
    with pytest.raises(CheckpointError, match=f"timm's resnet10t weights.*{expected[fault]}"):
        load_encoder_weights(encoder_of("resnet10t"), str(tmp_path / "w.safetensors"))


def test_a_download_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    encoder = encoder_of("resnet10t")
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(CheckpointError, match=r"timm's download failed \(no network\)"):
        load_encoder_weights(encoder, "imagenet")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet10", "timm has no such network; did you mean .*resnet10t"),
        ("vit_tiny_patch16_224", "expected features .* found strides of 16, 16, 16"),
    ],
)
def test_a_backbone_that_is_no_pyramid_is_refused(name: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=f"arch timm:{name}: {message}"):
        make_network(f"timm:{name}", 2, 64)
