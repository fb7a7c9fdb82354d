"""Each option of `train-unet` reaches the training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from runtime.core.errors import ConfigError
from runtime.core.progress import Progress
from runtime.core.settings import config_fields
from train.cli import main
from train.config import TrainConfig, study_config


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainConfig, Path, dict[str, Any]]]:
    """What `train_network` is asked for; it trains nothing."""
    calls: list[tuple[TrainConfig, Path, dict[str, Any]]] = []

    def train_network(config: TrainConfig, folder: Path, **settings: Any) -> None:
        calls.append((config, folder, settings))
        raise ConfigError("not trained")

    monkeypatch.setattr("train.run.train_network", train_network)
    no_notes = SimpleNamespace(notes=(), dataset=None)
    monkeypatch.setattr("train.targets.read_training_splits", lambda _: no_notes)
    return calls


OPTIONS: dict[str, tuple[str, Any]] = {
    "arch": ("--arch swin", "swin"),
    "width": ("--width 5", 5),
    "size": ("--size 64", 64),
    "masks": ("--masks segmentation", "segmentation"),
    "epochs": ("--epochs 7", 7),
    "batch_size": ("--batch-size 3", 3),
    "loss": ("--loss bce+dice", "bce+dice"),
    "augment": ("--augment", True),
    "learning_rate": ("--learning-rate 0.5", 0.5),
    "patience": ("--patience 9", 9),
    "decay": ("--decay 0.25", 0.25),
    "encoder_weights": ("--encoder-weights some.pth", "some.pth"),
    "freeze_encoder": ("--train-encoder", False),
    "unfreeze_epoch": ("--unfreeze 4", 4),
    "unfreeze_learning_rate": ("--unfreeze 4 --unfreeze-rate 0.125", 0.125),
    "seed": ("--seed 11", 11),
    "device": ("--device cpu", "cpu"),
    "precision": ("--precision bf16", "bf16"),
    "channels_last": ("--channels-first", False),
    "compile": ("--compile", True),
    "threads": ("--threads 3", 3),
    "intensity": ("--intensity 4095", 4095),
    "resize": ("--resize fit", "fit"),
    "empty": ("--empty drop", "drop"),
    "categories": ("--category bright", ("bright",)),
}


def test_the_table_below_has_every_option() -> None:
    assert set(OPTIONS) == {field.name for field in config_fields(TrainConfig)}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_its_setting_and_no_other(
    asked: list[tuple[TrainConfig, Path, dict[str, Any]]], name: str
) -> None:
    words, value = OPTIONS[name]
    result = CliRunner().invoke(main, ["--data", "scans", "--arch", "resnet50", *words.split()])
    assert "not trained" in result.output, result.output
    ((config, _, _),) = asked
    protocol = study_config("scans", "resnet50")
    assert getattr(config, name) == value != getattr(protocol, name)
    allowed = {name, "unfreeze_epoch"} if name == "unfreeze_learning_rate" else {name}
    for field in config_fields(TrainConfig):
        if field.name not in allowed:
            assert getattr(config, field.name) == getattr(protocol, field.name), field.name


def test_the_folders_and_the_flags_reach_the_training(
    asked: list[tuple[TrainConfig, Path, dict[str, Any]]], tmp_path: Path
) -> None:
    runner = CliRunner()
    runner.invoke(main, ["--data", "scans"])
    runner.invoke(main, ["--data", "scans", "--width", "16", "--augment", "--resume"])
    places = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    runner.invoke(main, ["--data", "scans", *places, "--overwrite"])
    (_, first, plain), (_, second, resumed), (config, third, replaced) = asked
    assert [first.as_posix(), second.as_posix()] == [
        "artifacts/unet-scratch-w64-scans", "artifacts/unet-scratch-w16-augment-scans"
    ]  # fmt: skip
    assert (config.data, third, replaced["cache"]) == (
        "scans", tmp_path / "run", tmp_path / "cache"
    )  # fmt: skip
    flags = [(each["resume"], each["overwrite"]) for each in (plain, resumed, replaced)]
    assert flags == [(False, False), (True, False), (False, True)]


def test_without_a_terminal_each_epoch_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def train_network(*_: object, on_progress: Any, **__: object) -> None:
        for step in (1, 2, 3, 4):
            on_progress(Progress(step, 4, "train", f"step {step}"))
            if step % 2 == 0:
                on_progress(Progress(step, 4, "train", f"epoch {step // 2}/2", milestone=True))
        raise ConfigError("not trained")

    monkeypatch.setattr("train.run.train_network", train_network)
    no_notes = SimpleNamespace(notes=(), dataset=None)
    monkeypatch.setattr("train.targets.read_training_splits", lambda _: no_notes)
    result = CliRunner().invoke(main, ["--data", "scans"])
    lines = [line for line in result.stderr.splitlines() if line.startswith(("step", "epoch"))]
    assert lines == ["epoch 1/2", "epoch 2/2"]
