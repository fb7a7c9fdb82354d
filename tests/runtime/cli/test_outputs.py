"""Output files of commands: checked first, written at the end."""

from pathlib import Path

import click
import pytest

from runtime.cli.outputs import Outputs
from runtime.core.errors import OutputError


def test_given_files_are_written_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "result.json"
    outputs = Outputs([], json=file, csv=None)
    assert not file.exists()
    outputs.write(
        json=lambda path: path.write_text("{}"), csv=lambda _: pytest.fail("not asked for")
    )
    assert file.read_text() == "{}"
    assert capsys.readouterr().out == f"{file}\n"


def test_inputs_are_not_replaced(tmp_path: Path) -> None:
    source = tmp_path / "scan.png"
    source.touch()
    (tmp_path / "link.json").hardlink_to(source)
    with pytest.raises(OutputError, match="would replace the input"):
        Outputs([source], json=tmp_path / "link.json")
    outputs = Outputs([], json=tmp_path / "link.json")
    with pytest.raises(OutputError, match="would replace the input"):
        outputs.protect([source])


def test_two_options_need_two_files(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="--json and --csv need different files"):
        Outputs([], json=tmp_path / "a", csv=tmp_path / "a")
    with pytest.raises(OutputError, match="it is a folder or a device"):
        Outputs([], json=tmp_path)
