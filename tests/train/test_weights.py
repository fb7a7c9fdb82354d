import hashlib
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.models import WeightsEnum

from runtime.core.errors import CheckpointError
from tests.support.small_backbones import use_small_backbones
from train.architectures import ARCHITECTURES
from train.encoders import ResNetEncoder, TorchvisionEncoder, build_encoder
from train.weights import load_encoder_weights


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


@pytest.fixture
def encoder(small_backbones: None) -> ResNetEncoder:
    """Of torchvision's layers, but with an eighth of the channels and one block a stage."""
    return ResNetEncoder(ARCHITECTURES["resnet50"], 4, 64)


@pytest.fixture
def state(small_backbones: None) -> dict[str, torch.Tensor]:
    """Other weights for it, with those of the classifier."""
    return dict(torchvision.models.get_model("resnet50", weights=None).state_dict())


def test_real_weights_load_whole_with_their_strides(real_weights: Path) -> None:
    encoder = ResNetEncoder(ARCHITECTURES["resnet50"], 4, 64)
    record = load_encoder_weights(encoder, str(real_weights))
    assert record.stride_in_1x1
    assert "Keras" in record.source
    first = encoder.backbone.layer2[0]
    assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    loaded = encoder.backbone.state_dict()
    with safe_open(real_weights, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            if not name.startswith("fc."):
                assert torch.equal(loaded[name], file.get_tensor(name).to(loaded[name].dtype))
    assert all(value.dtype != torch.float16 for value in loaded.values())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_kinds_of_file_give_the_same(
    encoder: ResNetEncoder, state: dict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path, {"license": "MIT", "source": "a test"})
    record = load_encoder_weights(encoder, str(path))
    assert not record.stride_in_1x1
    assert encoder.backbone.layer2[0].conv1.stride == (1, 1)
    assert torch.equal(encoder.backbone.conv1.weight, state["conv1.weight"])
    if suffix == ".safetensors":
        assert (record.license, record.source) == ("MIT", "a test")


def encoder_of(arch: str) -> TorchvisionEncoder:
    encoder = build_encoder(arch, 4, 64)
    assert isinstance(encoder, TorchvisionEncoder)
    return encoder


@pytest.mark.parametrize(
    ("arch", "model", "source"),
    [
        ("resnet34", "resnet34", "ResNet34_Weights.IMAGENET1K_V1"),
        ("resnet50", "resnet50", "ResNet50_Weights.IMAGENET1K_V1"),
        ("swin", "swin_t", "Swin_T_Weights.IMAGENET1K_V1"),
    ],
)
def test_each_encoder_takes_torchvisions_weights_whole_but_for_the_classifier(
    arch: str,
    model: str,
    source: str,
    small_backbones: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = torchvision.models.get_model(model, weights=None).state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
    encoder = encoder_of(arch)
    record = load_encoder_weights(encoder, "imagenet")
    assert record.source == f"torchvision {source}"
    loaded = encoder.backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    left = {name.split(".")[0] for name in state.keys() - loaded.keys()}
    assert left == ({"head", "norm"} if arch == "swin" else {"fc"})


def test_name_and_license_of_downloaded_weights_are_the_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with torch.device("meta"):
        entry = ARCHITECTURES["resnet50"]
        changed = replace(entry, weights="IMAGENET1K_V2", weights_license="MIT")
        encoder = ResNetEncoder(changed, 4, 64)
    state = encoder.backbone.state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
    record = load_encoder_weights(encoder, "imagenet")
    assert record.source == "torchvision ResNet50_Weights.IMAGENET1K_V2"
    assert record.license == "MIT"


@pytest.mark.parametrize("arch", ["resnet34", "swin"])
def test_strides_of_resnet50_are_refused_for_another(
    arch: str, tmp_path: Path, small_backbones: None
) -> None:
    encoder = encoder_of(arch)
    path = tmp_path / "w.safetensors"
    save_file(encoder.backbone.state_dict(), path, {"stride_in_1x1": "true"})
    with pytest.raises(
        CheckpointError, match=r"w\.safetensors: stride_in_1x1 is possible for resnet50 only"
    ):
        load_encoder_weights(encoder, str(path))


def test_weights_of_another_encoder_are_refused(
    state: dict[str, torch.Tensor], tmp_path: Path, small_backbones: None
) -> None:
    path = tmp_path / "w.pth"
    torch.save(state, path)
    for arch, model in (("resnet34", "resnet34"), ("swin", "swin_t")):
        with pytest.raises(
            CheckpointError, match=rf"w\.pth: expected torchvision's {model} weights"
        ):
            load_encoder_weights(encoder_of(arch), str(path))


def test_a_download_that_fails_names_the_other_ways(
    encoder: ResNetEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(CheckpointError, match=r"no network.*--encoder-weights FILE.*-weights none"):
        load_encoder_weights(encoder, "imagenet")


def test_weights_that_do_not_fit_are_refused(
    encoder: ResNetEncoder, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    for changed, message in (
        ({k: v for k, v in state.items() if k != "conv1.weight"}, r"lacks conv1\.weight"),
        ({**state, "odd": torch.zeros(1)}, "has the unknown odd"),
        ({**state, "conv1.weight": torch.zeros(1)}, r"has another shape of conv1\.weight"),
    ):
        save_file(changed, path)
        with pytest.raises(CheckpointError, match=rf"w\.safetensors: .*{message}"):
            load_encoder_weights(encoder, str(path))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_that_holds_no_weights_is_refused(
    encoder: ResNetEncoder, tmp_path: Path, name: str
) -> None:
    with pytest.raises(CheckpointError, match="found no file"):
        load_encoder_weights(encoder, str(tmp_path / name))
    (tmp_path / name).write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match=rf"{name}: expected"):
        load_encoder_weights(encoder, str(tmp_path / name))


@pytest.fixture
def small(small_backbones: None) -> TorchvisionEncoder:
    return encoder_of("resnet34")


def state_of(encoder: TorchvisionEncoder) -> dict[str, torch.Tensor]:
    """Other weights for an encoder than those that it has."""
    return {
        name: value + 1 if value.is_floating_point() else value.clone()
        for name, value in encoder.backbone.state_dict().items()
    }


def test_a_download_is_checked_against_its_hash(
    small: TorchvisionEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def download(*_: object, **settings: object) -> dict[str, torch.Tensor]:
        asked.append(settings)
        return state_of(small)

    monkeypatch.setattr(WeightsEnum, "get_state_dict", download)
    load_encoder_weights(small, "imagenet")
    assert [settings["check_hash"] for settings in asked] == [True]


@pytest.mark.parametrize("key", ["license", "licence"])
def test_a_license_is_read_in_both_spellings(
    small: TorchvisionEncoder, tmp_path: Path, key: str
) -> None:
    save_file(state_of(small), tmp_path / "w.safetensors", {key: "CC0-1.0"})
    record = load_encoder_weights(small, str(tmp_path / "w.safetensors"))
    assert record.license == "CC0-1.0"
    assert record.sha256 == hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()


def test_weights_from_before_batches_were_counted_are_whole(
    small: TorchvisionEncoder, tmp_path: Path
) -> None:
    old = {
        name: v for name, v in state_of(small).items() if not name.endswith("num_batches_tracked")
    }
    assert len(old) < len(small.backbone.state_dict())
    torch.save(old, tmp_path / "old.pth")
    load_encoder_weights(small, str(tmp_path / "old.pth"))
    loaded = small.backbone.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in old.items())


def test_weights_in_float16_become_float32(small: TorchvisionEncoder, tmp_path: Path) -> None:
    half = {name: v.half() if v.is_floating_point() else v for name, v in state_of(small).items()}
    torch.save(half, tmp_path / "half.pth")
    load_encoder_weights(small, str(tmp_path / "half.pth"))
    loaded = small.backbone.state_dict()
    assert all(
        torch.equal(loaded[name], value.to(loaded[name].dtype)) for name, value in half.items()
    )
