"""What a run is trained on: its splits, as its configuration says."""

from pathlib import Path

import pytest

from train.config import TrainConfig
from train.targets import read_training_splits


def test_the_intensity_of_a_run_reaches_its_images(phantom: Path) -> None:
    splits = read_training_splits(TrainConfig(str(phantom), intensity=4095))
    assert {s.intensity for s in (*splits.train.samples, *splits.valid.samples)} == {4095}


def test_a_data_set_that_was_read_is_not_read_again(
    phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(str(phantom))
    first = read_training_splits(config)
    monkeypatch.delattr("train.targets.read_dataset")
    again = read_training_splits(config, first.dataset)
    assert again == first
