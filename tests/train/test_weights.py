from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.models import WeightsEnum, get_model, resnet50

from runtime.core.errors import CheckpointError
from tests.support.small_backbones import use_small_backbones
from train.encoders import ResNetEncoder, TorchvisionEncoder, build_encoder
from train.weights import load_encoder_weights


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


@pytest.fixture
def encoder() -> ResNetEncoder:
    return ResNetEncoder("resnet50")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(resnet50(weights=None).state_dict())


def test_real_weights_load_whole_with_their_strides(
    encoder: ResNetEncoder, real_weights: Path
) -> None:
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
    encoder = build_encoder(arch, 4)
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
    arch: str, model: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = get_model(model, weights=None).state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
    encoder = encoder_of(arch)
    record = load_encoder_weights(encoder, "imagenet")
    assert record.source == f"torchvision {source}"
    loaded = encoder.backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    left = {name.split(".")[0] for name in state.keys() - loaded.keys()}
    assert left == ({"head", "norm"} if arch == "swin" else {"fc"})


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
