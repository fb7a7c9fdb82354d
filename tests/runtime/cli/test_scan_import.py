"""`seg-data import` as a user meets it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from runtime.cli.data import main
from runtime.core.errors import ConfigError
from runtime.data.coco import read_dataset
from runtime.data.volumes.spec import volume_spec


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="seg-data")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    rng = np.random.default_rng(0)
    for patient in range(6):
        pixels = rng.integers(0, 256, (12, 10), np.uint8)
        Image.fromarray(pixels).save(root / f"patient{patient}_1.png")
        mask = np.zeros((12, 10), np.uint8)
        mask[2:6, 2:6] = 255
        Image.fromarray(mask).save(root / f"patient{patient}_1_mask.png")
    return root


def test_an_import_tells_its_splits_and_what_it_skipped(source: Path, tmp_path: Path) -> None:
    for number in range(5):
        (source / f"x{number}_mask.png").write_bytes((source / "patient0_1_mask.png").read_bytes())
    result = call("import", source, tmp_path / "set", "--shares", "50/25/25", "--seed", 1)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == ["split", "images", "patients", "with", "foreground", "annotations"]
    rows = {cells[0]: cells[1:] for cells in (line.split() for line in lines[2:5])}
    dataset = read_dataset(tmp_path / "set")
    for name in ("train", "valid", "test"):
        images = str(len(dataset.split(name).samples))
        assert rows[name] == [images, images, images, "foreground", f"({images})"]
    assert "Imported from pictures with masks, patients from names." in lines
    assert "skipped, a mask without its image: 5 scans" in lines
    assert sum(line.startswith("  x") for line in lines) == 3
    assert "  and 2 more" in lines
    assert lines[-1] == str(tmp_path / "set")


def test_wrong_use_is_one_sentence_and_writes_nothing(source: Path, tmp_path: Path) -> None:
    for options, problem in (
        (("--keep-empty", 2), "Error: keep_empty: expected 0 to 1, found 2.0"),
        (("--shares", "70/30"), "Error: shares: expected percentages of train"),
        (("--window", "1/2", "--percentiles", "1/2"), "Error: window and percentiles exclude"),
        (("--window", "wide"), "Error: expected two numbers such as -160/240, found 'wide'"),
        (
            ("--mask-pattern", "{name}_absent"),
            "no picture has a mask at {name}_absent",
        ),
    ):
        result = call("import", source, tmp_path / "set", *options)
        assert result.exit_code == 2, result.output
        assert problem in result.output
        assert not (tmp_path / "set").exists()
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine").touch()
    assert "already exists" in call("import", source, tmp_path / "set").output


def test_without_the_extra_a_sentence_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source/imagesTr").mkdir(parents=True)
    (tmp_path / "source/dataset.json").write_text("{}")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call("import", tmp_path / "source", tmp_path / "set")
    assert result.exit_code == 2
    assert "Error: nibabel is not installed: run pip install '.[nifti]'" in result.output


def test_a_window_and_percentiles_become_one_rule() -> None:
    spec = volume_spec(window="-160/240")
    assert (spec.plane, spec.range, spec.low, spec.high) == ("axial", "window", -160.0, 240.0)
    spec = volume_spec("coronal", percentiles="1/99")
    assert (spec.plane, spec.range, spec.low, spec.high) == ("coronal", "percentiles", 1.0, 99.0)
    with pytest.raises(ConfigError, match="exclude each other"):
        volume_spec(window="0/1", percentiles="1/99")
