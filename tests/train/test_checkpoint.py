import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runtime.core.errors import CheckpointError
from train.checkpoint import build_network, load_checkpoint, save_checkpoint
from train.network import UNet
from train.pretrained import EncoderWeights


def test_a_checkpoint_survives_its_file(run_folder: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "last.pt")
    save_checkpoint(tmp_path / "copy.pt", checkpoint)
    copy = load_checkpoint(tmp_path / "copy.pt")
    assert (copy.config, copy.data) == (checkpoint.config, checkpoint.data)
    assert repr(copy.history) == repr(checkpoint.history)  # a NaN is not equal to itself
    assert copy.weights.keys() == checkpoint.weights.keys()
    for name, value in copy.weights.items():
        assert torch.equal(value, checkpoint.weights[name])
    assert copy.optimizer is not None
    assert load_checkpoint(run_folder / "best.pt").optimizer is None


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, writer: str) -> None:
    path, mark = tmp_path / "trap.pt", tmp_path / "sprung"
    content = {"format": 1, "weights": Trap(mark)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"trap\.pt: .*would run code"):
        load_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_cut_checkpoint_is_refused(run_folder: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.pt"
    path.write_bytes((run_folder / "best.pt").read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cut\.pt: expected a checkpoint of train-unet"):
        load_checkpoint(path)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    text, tensors = tmp_path / "text.pt", tmp_path / "tensors.pt"
    text.write_text("not a checkpoint")
    torch.save({"head.weight": torch.zeros(3)}, tensors)
    for path in (text, tensors):
        with pytest.raises(CheckpointError, match=f"{path.name}: expected a checkpoint"):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match="found no file"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_record_of_another_layout_is_refused(run_folder: Path, tmp_path: Path) -> None:
    content = torch.load(run_folder / "best.pt", weights_only=True)
    content["config"]["width"] = "wide"
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match=r"odd\.pt: config\.width: expected int, found str"):
        load_checkpoint(tmp_path / "odd.pt")


def test_weights_of_another_architecture_are_refused(run_folder: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    for changes in ({"width": 8}, {"arch": "resnet50"}, {"arch": "swin"}):
        other = replace(checkpoint, config=replace(checkpoint.config, **changes))
        with pytest.raises(CheckpointError, match=r"best\.pt: expected the weights of .* at width"):
            build_network(other, "best.pt")


def test_a_checkpoint_from_before_the_later_settings_is_read(
    run_folder: Path, tmp_path: Path
) -> None:
    content = torch.load(run_folder / "best.pt", weights_only=True)
    for name in ("loss", "augment", "unfreeze_epoch", "unfreeze_learning_rate"):
        del content["config"][name]
    torch.save(content, tmp_path / "old.pt")
    old = load_checkpoint(tmp_path / "old.pt")
    assert old.config == load_checkpoint(run_folder / "best.pt").config
    build_network(old, "old.pt")


def test_strides_that_an_encoder_cannot_have_are_refused(run_folder: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    claim = EncoderWeights("a forged file", "", stride_in_1x1=True)
    with pytest.raises(
        CheckpointError, match=r"best\.pt: stride_in_1x1 is possible for resnet50 only"
    ):
        build_network(replace(checkpoint, encoder_weights=claim), "best.pt")


def test_a_checkpoint_of_the_first_format_is_read_and_one_of_a_later_refused(
    run_folder: Path, tmp_path: Path
) -> None:
    content = torch.load(run_folder / "last.pt", weights_only=True)
    del content["steps"]  # which the first format did not have
    content["config"]["threads"] = 0  # its default
    torch.save({**content, "format": 1}, tmp_path / "first.pt")
    first, today = load_checkpoint(tmp_path / "first.pt"), load_checkpoint(run_folder / "last.pt")
    assert repr(first.history) == repr(today.history)  # a NaN is not equal to itself
    assert (first.data, first.steps) == (today.data, None)
    assert first.config.threads is None
    torch.save({**content, "format": 4}, tmp_path / "later.pt")
    with pytest.raises(CheckpointError, match=r"later\.pt: .*format 3"):
        load_checkpoint(tmp_path / "later.pt")


def test_a_network_from_a_checkpoint_computes_as_the_one_that_was_saved(
    run_folder: Path,
) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    network = UNet(checkpoint.config.arch, checkpoint.config.width)
    network.load_state_dict(checkpoint.weights)
    images = torch.rand(2, 3, 32, 32)
    loaded = build_network(checkpoint, "best.pt")
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(images), network.eval()(images))


@pytest.mark.parametrize(("times", "passes"), [(0.5, True), (2.0, False)])
def test_weights_may_not_claim_more_than_the_file_holds(
    run_folder: Path, tmp_path: Path, times: float, passes: bool
) -> None:
    path = tmp_path / "small.pt"
    content = torch.load(run_folder / "best.pt", weights_only=True)
    torch.save({**content, "weights": {"w": torch.zeros(1)}}, path)
    claimed = int(times * path.stat().st_size / 4)
    torch.save({**content, "weights": {"w": torch.zeros(1).expand(claimed)}}, path)
    if passes:
        assert load_checkpoint(path).weights["w"].numel() == claimed
    else:
        with pytest.raises(CheckpointError, match=r"small\.pt: .* no larger than the file"):
            load_checkpoint(path)


def test_a_network_that_its_library_does_not_have_is_refused_with_the_file(
    run_folder: Path,
) -> None:
    pytest.importorskip("timm")
    known = load_checkpoint(run_folder / "best.pt")
    config = replace(known.config, arch="timm:nothing_of_this_name")
    with pytest.raises(CheckpointError, match=r"^best\.pt: arch timm:nothing_of_this_name: timm"):
        build_network(replace(known, config=config), "best.pt")
