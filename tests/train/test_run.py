import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

from runtime.core.errors import CheckpointError, ConfigError, NonFiniteLossError, OutputError
from runtime.core.progress import Progress
from runtime.data.coco import Dataset
from tests.support.small_backbones import use_small_backbones
from train.checkpoint import build_network, load_checkpoint
from train.config import TrainConfig, demo_config
from train.data import Batches, decode_split
from train.history import EpochRow
from train.network import UNet
from train.run import train_network


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=3, threads=1)


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt").weights


def assert_same_weights(one: Path, two: Path) -> None:
    first, second = final_weights(one), final_weights(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_loss_falls_and_the_results_are_there(
    config: TrainConfig, tmp_path: Path, curves: None
) -> None:
    steps: list[Progress] = []
    result = train_network(config, tmp_path / "run", cache=tmp_path / "c", on_progress=steps.append)
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert {path.name for path in result.folder.iterdir()} == {
        "best.pt", "last.pt", "history.csv", "curves.png", "config.json",
        "first-batch.png", "valid-epoch-001.png", "valid-epoch-003.png",
    }  # fmt: skip
    rows = list(csv.DictReader((result.folder / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == [field.name for field in fields(EpochRow)]
    assert {row["arithmetic"] for row in rows} == {result.config.precision} <= {"float32", "bf16"}
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    with Image.open(result.folder / "curves.png") as picture:
        assert picture.size[0] > 500
    trained = [step for step in steps if step.phase == "train" and not step.milestone]
    assert [step.done for step in trained] == list(range(1, len(trained) + 1))
    assert trained[-1].done == trained[-1].total == len(trained)
    epochs = [step for step in steps if step.milestone]
    for row, step in zip(result.history, epochs, strict=True):
        assert (step.done, step.total) == (row.epoch * len(trained) / 3, len(trained))
        assert step.note.startswith(f"epoch {row.epoch}/3: loss {row.train_loss:.4f}, valid ")


def test_the_same_seed_gives_the_same_weights_and_another_others(
    config: TrainConfig, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_network(replace(config, seed=seed), tmp_path / name, cache=tmp_path / "cache")
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    a, c = final_weights(tmp_path / "a"), final_weights(tmp_path / "c")
    assert not torch.equal(a["head.weight"], c["head.weight"])


def test_a_run_leaves_the_callers_random_state_and_threads_alone(
    config: TrainConfig, tmp_path: Path
) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train_network(replace(config, epochs=1), tmp_path / "run", cache=tmp_path / "cache")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("augment", [False, True])
def test_the_validation_row_is_what_the_saved_network_gives_on_unchanged_images(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path, augment: bool
) -> None:
    config = replace(config, augment=augment, masks="boxes")
    result = train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    network = build_network(load_checkpoint(result.folder / "last.pt"), "last.pt")
    decoded = decode_split(phantom_data.split("valid"), 16, "boxes", tmp_path / "cache")
    batches = Batches(decoded, 1, torch.device("cpu"))
    losses, ious = [], []
    for images, masks in batches.load(batches.indices()):
        with torch.no_grad():
            logits = network(images)
        p, y = torch.sigmoid(logits).double(), masks.double()
        losses.append(float(binary_cross_entropy_with_logits(logits, masks)))
        ious.append(float((y * p).sum() / (y + p - y * p).sum()))
    assert result.history[-1].valid_loss == pytest.approx(np.mean(losses), abs=1e-6)
    assert result.history[-1].valid_iou == pytest.approx(np.mean(ious), abs=1e-6)


def test_the_best_checkpoint_has_the_lowest_validation_loss(
    config: TrainConfig, tmp_path: Path
) -> None:
    # A rate this high makes the validation loss jump up and down.
    result = train_network(
        replace(config, learning_rate=0.3, epochs=5), tmp_path / "run", cache=tmp_path / "cache"
    )
    losses = [row.valid_loss for row in result.history]
    assert load_checkpoint(result.best).epoch == 1 + losses.index(min(losses))
    assert losses.index(min(losses)) < 4


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_network(config, whole, cache=tmp_path / "cache")
    train_network(replace(config, epochs=1), parts, cache=tmp_path / "cache", resume=True)
    result = train_network(config, parts, cache=tmp_path / "cache", resume=True)
    assert_same_weights(whole, parts)
    assert [row.epoch for row in result.history] == [1, 2, 3]
    assert json.loads((parts / "config.json").read_text())["epochs"] == 3


class Stopped(Exception):  # noqa: N818, it is no error
    """Ends a run from its progress callback."""


def train_to(config: TrainConfig, folder: Path, epoch: int) -> Path:
    """Train in a folder until the first step after an epoch, as an interrupted run does."""

    def stop(step: Progress) -> None:
        if step.phase == "train" and step.fraction > epoch / config.epochs:
            raise Stopped

    with pytest.raises(Stopped):
        train_network(config, folder, cache=folder.parent / "cache", on_progress=stop)
    assert load_checkpoint(folder / "last.pt").epoch == epoch
    return folder


@pytest.mark.parametrize(
    "changes", [{"augment": True, "loss": "bce+dice"}, {"arch": "swin", "size": 32}]
)
def test_random_draws_do_not_depend_on_where_a_run_was_interrupted(
    config: TrainConfig, tmp_path: Path, small_backbones: None, changes: dict[str, Any]
) -> None:
    config = replace(config, **changes)
    parts, whole, cache = tmp_path / "parts", tmp_path / "whole", tmp_path / "cache"
    train_to(config, parts, 1)
    train_network(config, parts, cache=cache, resume=True)
    result = train_network(config, whole, cache=cache)
    assert_same_weights(parts, whole)
    first, *_, last = result.history
    assert last.train_loss < first.train_loss


def encoder_of(folder: Path) -> dict[str, torch.Tensor]:
    weights = final_weights(folder)
    return {name: value for name, value in weights.items() if name.startswith("encoder.")}


@pytest.mark.parametrize(("unfrozen", "interrupted"), [(3, 1), (2, 1), (2, 2)])
def test_an_encoder_is_trained_from_its_epoch_on_however_often_the_run_was_interrupted(
    config: TrainConfig,
    tmp_path: Path,
    small_backbones: None,
    unfrozen: int,
    interrupted: int,
) -> None:
    config = replace(
        config, arch="resnet34", size=32, freeze_encoder=True, unfreeze_epoch=unfrozen,
        unfreeze_learning_rate=1e-3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        weights = UNet("resnet34", 2).encoder.backbone
    assert isinstance(weights, torch.nn.Module)
    torch.save(weights.state_dict(), tmp_path / "weights.pth")
    config = replace(config, encoder_weights=str(tmp_path / "weights.pth"))
    parts, whole, cache = tmp_path / "parts", tmp_path / "whole", tmp_path / "cache"

    before = encoder_of(train_to(config, parts, interrupted))
    given = {f"encoder.backbone.{name}": value for name, value in weights.state_dict().items()}
    untouched = all(torch.equal(value, given[name]) for name, value in before.items())
    assert untouched is (interrupted < unfrozen)

    train_network(config, parts, cache=cache, resume=True)
    result = train_network(config, whole, cache=cache)
    assert_same_weights(parts, whole)
    assert result.trained_parameters == result.parameters
    for name, value in encoder_of(whole).items():
        kept = "running_" in name or "num_batches" in name
        assert torch.equal(value, given[name]) is kept, name


def test_a_run_resumes_with_its_encoder_weights_wherever_they_lie_but_with_no_others(
    config: TrainConfig, tmp_path: Path, small_backbones: None
) -> None:
    weights = UNet("resnet34", 2).encoder.backbone
    assert isinstance(weights, torch.nn.Module)
    for name, shift in (("weights.pth", 0.0), ("others.pth", 1.0)):
        state = {n: v + shift if v.is_floating_point() else v
                 for n, v in weights.state_dict().items()}  # fmt: skip
        torch.save(state, tmp_path / name)
    config = replace(config, arch="resnet34", size=32, freeze_encoder=True)
    first = replace(config, encoder_weights=str(tmp_path / "weights.pth"))
    run = train_to(first, tmp_path / "run", 1)
    (tmp_path / "weights.pth").rename(tmp_path / "moved.pth")

    def resume(weights: str) -> None:
        changed = replace(config, encoder_weights=weights)
        train_network(changed, run, cache=tmp_path / "cache", resume=True)

    for name in (str(tmp_path / "others.pth"), "none"):
        with pytest.raises(ConfigError, match=r"encoder weights .*found one with .*weights\.pth"):
            resume(name)
    resume(str(tmp_path / "moved.pth"))


def test_encoder_weights_that_do_not_fit_end_a_run_before_an_image_is_decoded(
    config: TrainConfig, tmp_path: Path, small_backbones: None
) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "odd.pth")
    for name, words in (("none.pth", "found no file"), ("odd.pth", "found a file that lacks")):
        changed = replace(config, arch="resnet34", size=32, encoder_weights=str(tmp_path / name))
        with pytest.raises(CheckpointError, match=rf"{name}: .*{words}"):
            train_network(changed, tmp_path / "run", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_run_is_resumed_or_replaced_but_not_both(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume and overwrite exclude each other"):
        train_network(
            config, tmp_path / "run", cache=tmp_path / "cache", resume=True, overwrite=True
        )
    assert not (tmp_path / "run").exists()


def test_a_run_is_replaced_only_when_asked(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=1)
    train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(OutputError, match=r"run: .*--resume, --overwrite or another --out"):
        train_network(replace(config, seed=1), tmp_path / "run", cache=tmp_path / "cache")
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    train_network(
        replace(config, seed=1), tmp_path / "run", cache=tmp_path / "cache", overwrite=True
    )
    assert (tmp_path / "run" / "last.pt").read_bytes() != before


def test_a_run_is_not_resumed_as_another(
    config: TrainConfig, phantom: Path, tmp_path: Path
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train_network(replace(config, epochs=2), run, cache=cache)
    with pytest.raises(
        ConfigError, match=r"last\.pt: expected a run with seed 5, found one with 0"
    ):
        train_network(replace(config, seed=5), run, cache=cache, resume=True)
    with pytest.raises(ConfigError, match=r"last\.pt: expected at most 1 epoch, found 2 trained"):
        train_network(replace(config, epochs=1), run, cache=cache, resume=True)
    other = tmp_path / "other"
    shutil.copytree(phantom, other)
    picture = next((other / "train").glob("*.png"))
    shutil.copyfile(next((other / "test").glob("*.png")), picture)
    with pytest.raises(ConfigError, match=r"last\.pt: this run was trained on other data"):
        train_network(replace(config, data=str(other)), run, cache=cache, resume=True)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_loss_that_is_not_finite_names_epoch_step_and_images(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    load = Batches.load
    own = {path.name for path in (Path(config.data) / split).glob("*.png")}

    def poisoned(
        self: Batches, batches: list[NDArray[np.int64]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step, (images, masks) in enumerate(load(self, batches)):
            poison = step == 1 and self.names[0] in own
            yield (images * float("nan") if poison else images), masks

    monkeypatch.setattr(Batches, "load", poisoned)
    config = replace(config, batch_size=2)
    where = "epoch 1, step 2: " if split == "train" else "validation of epoch 1, step 2: "
    with pytest.raises(NonFiniteLossError, match=f"^{where}.*found nan on ") as caught:
        train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    named = str(caught.value).split("images ")[1].split(", ")
    assert len(named) == config.batch_size
    assert set(named) <= own
    assert not (tmp_path / "run" / "last.pt").exists()


def test_bf16_trains_on_the_cpu_as_well_as_float32(config: TrainConfig, tmp_path: Path) -> None:
    """The mean difference of three seeds is within the spread of one."""
    config = replace(config, epochs=2)
    results = {
        (precision, seed): train_network(
            replace(config, precision=precision, seed=seed),
            tmp_path / f"{precision}-{seed}",
            cache=tmp_path / "cache",
        )
        for precision in ("float32", "bf16")
        for seed in range(3)
    }
    for result in results.values():
        assert result.history[-1].train_loss < result.history[0].train_loss
    float32, bf16 = (
        np.array([results[precision, seed].history[-1].valid_loss for seed in range(3)])
        for precision in ("float32", "bf16")
    )
    assert np.all(float32 != bf16)
    assert abs((bf16 - float32).mean()) < float32.std(ddof=1)


def test_a_cuda_device_gives_about_the_same(config: TrainConfig, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    results = [
        train_network(replace(config, device=device), tmp_path / device, cache=tmp_path / "cache")
        for device in ("cpu", "cuda")
    ]
    first, second = (result.history[-1].valid_loss for result in results)
    assert first == pytest.approx(second, rel=0.1)


def test_a_read_only_folder_is_named_before_anything_is_trained(
    config: TrainConfig, tmp_path: Path
) -> None:
    if os.geteuid() == 0:
        (tmp_path / "run").write_text("in the folder's place")
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        train_network(config, tmp_path / "run", cache=tmp_path.parent / "cache")


def test_a_network_that_cannot_be_made_leaves_no_folder(
    config: TrainConfig, tmp_path: Path
) -> None:
    unknown = replace(config, arch="nothing_of_this_name:net")
    with pytest.raises(ConfigError, match="cannot import nothing_of_this_name"):
        train_network(unknown, tmp_path / "run", cache=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError):
        train_network(unknown, tmp_path / "mine", cache=tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
