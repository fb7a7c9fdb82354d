"""`seg-data audit` and `seg-data split` as a user meets them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli.data import main
from runtime.data.audit import audit_dataset
from runtime.data.coco import Dataset, read_dataset
from tests.support.self_contained import external_references


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="seg-data")


def test_an_audit_tells_its_figures_and_writes_its_page(
    phantom: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    page, file = tmp_path / "audit.html", tmp_path / "audit.json"
    result = call("audit", phantom, "--out", page, "--json", file, "--correlation", 0.9)
    assert result.exit_code == 0, result.output
    content = json.loads(file.read_text())
    assert content["rule"]["correlation"] == 0.9
    assert f"{content['links']} links in" in result.output
    assert external_references(page.read_text()) == []
    assert content["images"] == len(audit_dataset(phantom_data).images)


def test_a_split_is_written_and_read(phantom: Path, tmp_path: Path) -> None:
    result = call("split", phantom, tmp_path / "out", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert set(read_dataset(tmp_path / "out").splits) == {"train", "valid", "test"}
    again = call("split", phantom, tmp_path / "out")
    assert again.exit_code == 2
    assert "already exists and is not an empty folder" in again.output


@pytest.mark.parametrize("command", ["audit", "split"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--correlation", "2"], "correlation: expected a value in (0, 1]"),
        (["--slice-correlation", "0"], "slice_correlation: expected a value in (0, 1]"),
        (["--slices", "-1"], "slices: expected 0 or more"),
    ],
)
def test_an_impossible_rule_ends_with_one_sentence(
    phantom: Path, tmp_path: Path, command: str, options: list[str], words: str
) -> None:
    target = [tmp_path / "out"] if command == "split" else ["--out", tmp_path / "out"]
    result = call(command, phantom, *target, *options)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_the_loosest_rule_leaves_nothing_to_split(phantom: Path, tmp_path: Path) -> None:
    result = call("split", phantom, tmp_path / "out", "--correlation", "0.01")
    assert result.exit_code == 2
    assert "groups" in result.output
    assert not (tmp_path / "out").exists()
