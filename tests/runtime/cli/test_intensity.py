"""`--intensity`: every command that reads images scales them alike, and warns of none."""

import json
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from runtime.cli.data import main as seg_data
from runtime.cli.evaluate import main as seg_eval
from runtime.data.coco import read_dataset
from tests.support.pictures import darken


@pytest.fixture(scope="module")
def dark(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom set as 12-bit levels in 16-bit files; the scaled levels are the phantom's own."""
    return darken(Path(shutil.copytree(phantom, tmp_path_factory.mktemp("data") / "dark")))


def run(command: click.Command, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_images_are_the_phantoms(dark: Path, phantom: Path) -> None:
    scaled = read_dataset(dark, intensity=4095).split("test").samples
    for sample, plain in zip(scaled, read_dataset(phantom).split("test").samples, strict=True):
        np.testing.assert_array_equal(sample.load().pixels, plain.load().pixels)


@pytest.mark.parametrize("command", ["check", "report", "audit", "split"])
def test_the_advice_of_seg_data_can_be_followed(
    dark: Path, phantom: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("runtime.report.exploration_page.figure_uri", lambda _: "data:,")
    targets: dict[str, list[object]] = {"check": [], "split": [tmp_path / "new"]}
    arguments = [command, dark, *targets.get(command, ["--out", tmp_path / "page.html"])]
    scaled = run(seg_data, *arguments, "--intensity", 4095)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    arguments[1] = phantom
    assert scaled == run(seg_data, *arguments)
    assert "--intensity" not in scaled


def test_an_evaluation_with_its_baselines_follows_an_intensity(
    model: Path, dark: Path, phantom: Path, tmp_path: Path
) -> None:
    found = []
    for data, options in ((phantom, []), (dark, ["--intensity", 4095])):
        file = tmp_path / f"{data.name}.json"
        text = run(seg_eval, model, "--data", data, "--json", file, *options)
        assert "Warning" not in text
        found.append(json.loads(file.read_text()))
    assert found[0]["baselines"] == found[1]["baselines"]
    assert found[0]["models"] == found[1]["models"]


def test_without_an_intensity_dark_images_are_reported(dark: Path) -> None:
    assert "give --intensity 4095" in run(seg_data, "check", dark)
