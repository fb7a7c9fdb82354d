"""Standard streams: what they cannot encode, and warnings about data."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from runtime.cli.command import Command, Group
from runtime.cli.predict import main as predict
from runtime.core.errors import DataWarning, SegmentationError

PROGRAM = """
import sys
import click
from runtime.cli.command import Command, Group

@click.command(cls=Command)
def one():
    click.echo("3\\u20135 \\u2713")
    click.echo("\\u2713", err=True)

group = Group("group", {"one": one})
(group if "one" in sys.argv else one)()
"""


@pytest.mark.parametrize("encoding", ["latin-1", "cp932", "cp1252", "utf-8"])
@pytest.mark.parametrize("arguments", [[], ["one"]])
def test_what_a_stream_cannot_encode_is_escaped(encoding: str, arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert run.stdout.rstrip() == "3\u20135 \u2713".encode(encoding, "backslashreplace")
    assert run.stderr.rstrip() == "\u2713".encode(encoding, "backslashreplace")


def command_that_warns(*texts: str, fails: bool = False) -> click.Command:
    def body() -> None:
        for text in texts:
            warnings.warn(text, DataWarning, stacklevel=1)
        if fails:
            raise SegmentationError("it failed")
        click.echo("result")

    return Command("test", callback=body)


def test_each_warning_is_shown_once_after_the_result() -> None:
    result = CliRunner().invoke(command_that_warns("a is dark", "b is dark", "a is dark"), [])
    assert result.output == "result\nWarning: a is dark\nWarning: b is dark\n"
    assert result.stdout == "result\n"


def test_few_of_many_warnings_are_shown() -> None:
    names = [f"{index} is dark" for index in range(9)]
    lines = CliRunner().invoke(command_that_warns(*names), []).stderr.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "Warning: the same of 4 more images"


def test_warnings_are_shown_where_the_command_fails() -> None:
    result = CliRunner().invoke(command_that_warns("a is dark", fails=True), [])
    assert result.output == "Warning: a is dark\nError: it failed\n"


def test_a_group_runs_its_commands() -> None:
    group = Group("group", {"test": command_that_warns()})
    assert CliRunner().invoke(group, ["test"]).output == "result\n"


def test_predicting_a_dark_image_warns_once_and_an_intensity_ends_it(
    model: Path, tmp_path: Path
) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (32, 32), np.uint16)
    Image.fromarray(levels).save(tmp_path / "dark.png")
    arguments = [str(model), str(tmp_path / "dark.png"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(predict, arguments)
    assert result.exit_code == 0
    assert result.stderr.count("give --intensity 4095") == 1
    assert "Warning" not in CliRunner().invoke(predict, [*arguments, "--intensity", "4095"]).stderr


@pytest.mark.parametrize("size", ["0", "-1", "8193"])
def test_a_size_out_of_range_is_refused(model: Path, size: str) -> None:
    result = CliRunner().invoke(predict, [str(model), "x.png", "--size", size])
    assert result.exit_code == 2
    assert "is not in the range 1<=x<=8192" in result.output
