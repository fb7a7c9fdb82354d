"""Checkpoints to a file, or to none."""

from dataclasses import replace
from pathlib import Path

import pytest

from export.onnx_export import export_checkpoints
from export.request import ExportRequest, default_output, find_checkpoints
from runtime.core.errors import CheckpointError, ConfigError, DataError
from train.checkpoint import load_checkpoint, save_checkpoint


def test_a_checkpoint_is_not_overwritten(run_folder: Path, phantom: Path) -> None:
    checkpoint = run_folder / "best.pt"
    before = checkpoint.read_bytes()
    with pytest.raises(ConfigError, match=r"best\.pt: an exported file's name must end in \.onnx"):
        export_checkpoints(ExportRequest([checkpoint], checkpoint, data=phantom))
    assert checkpoint.read_bytes() == before


def test_checkpoints_are_found_and_named_after_their_folders(run_folder: Path) -> None:
    (found,) = find_checkpoints(run_folder.parent)
    assert found == run_folder / "best.pt"
    assert default_output(found) == run_folder.parent / "tiny.onnx"
    with pytest.raises(CheckpointError, match=r"no finished run of train-unet \(best\.pt\)"):
        find_checkpoints(run_folder.parent / "cache")


def test_a_data_set_that_is_gone_is_named(run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onnx"
    with pytest.raises(DataError, match="gone: no such folder"):
        export_checkpoints(ExportRequest([run_folder / "best.pt"], output, data=tmp_path / "gone"))
    checkpoint = load_checkpoint(run_folder / "best.pt")
    moved = replace(checkpoint, config=replace(checkpoint.config, data="moved"))
    save_checkpoint(tmp_path / "best.pt", moved)
    with pytest.raises(DataError, match=r"best\.pt: .* no longer in moved; .*--data"):
        export_checkpoints(ExportRequest([tmp_path / "best.pt"], output))
