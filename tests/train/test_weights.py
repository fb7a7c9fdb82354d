from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.models import ResNet50_Weights, resnet50

from runtime.errors import CheckpointError
from train.encoders import ResNet50Encoder
from train.weights import load_encoder_weights


@pytest.fixture
def encoder() -> ResNet50Encoder:
    return ResNet50Encoder(4)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(resnet50(weights=None).state_dict())


def test_real_weights_load_whole_with_their_strides(
    encoder: ResNet50Encoder, real_weights: Path
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
    encoder: ResNet50Encoder, state: dict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path, {"licence": "MIT", "source": "a test"})
    record = load_encoder_weights(encoder, str(path))
    assert not record.stride_in_1x1
    assert encoder.backbone.layer2[0].conv1.stride == (1, 1)
    assert torch.equal(encoder.backbone.conv1.weight, state["conv1.weight"])
    if suffix == ".safetensors":
        assert (record.licence, record.source) == ("MIT", "a test")


def test_a_download_that_fails_names_the_other_ways(
    encoder: ResNet50Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", refuse)
    with pytest.raises(CheckpointError, match=r"no network.*--encoder-weights FILE.*-weights none"):
        load_encoder_weights(encoder, "imagenet")


def test_weights_that_do_not_fit_are_refused(
    encoder: ResNet50Encoder, state: dict[str, torch.Tensor], tmp_path: Path
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
    encoder: ResNet50Encoder, tmp_path: Path, name: str
) -> None:
    with pytest.raises(CheckpointError, match="found no file"):
        load_encoder_weights(encoder, str(tmp_path / name))
    (tmp_path / name).write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match=rf"{name}: expected"):
        load_encoder_weights(encoder, str(tmp_path / name))
