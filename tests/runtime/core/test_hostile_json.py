"""JSON that two readers would understand differently, or none; and what is no file."""

import os
from pathlib import Path

import pytest

from runtime.core import json_files
from runtime.core.errors import DataError, ImageError
from runtime.core.files import read_bytes
from runtime.core.json_files import read_json


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 66 + "]" * 66,
        '[1, {"a": ' + "[" * 900 + "]" * 900 + "}]",
    ],
    ids=["lists", "objects", "one too deep", "too deep for what walks through it"],
)
def test_json_nested_too_deep(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json: JSON nested deeper than 64 levels"):
        read_json(tmp_path / "x.json", error=DataError)


def test_json_of_the_greatest_depth_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    depth = json_files.MAX_JSON_DEPTH + 1  # the outermost is level 0
    path.write_text("[" * depth + "]" * depth)
    assert read_json(path, error=DataError) is not None


def test_json_with_a_key_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"images": [], "annotations": [1], "annotations": []}')
    with pytest.raises(DataError, match=r"x\.json: the key 'annotations' appears twice"):
        read_json(path, error=DataError)
    keys = ", ".join(f'"{number}": 0' for number in range(100_000))
    path.write_text(f'{{{keys}, "99999": 1}}')
    with pytest.raises(DataError, match="the key '99999' appears twice"):
        read_json(path, error=DataError)


# Files that are none


def test_a_pipe_and_a_device_are_not_read(tmp_path: Path) -> None:
    """From a pipe nothing may ever come, from a device something for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(ImageError, match=f"{name}: expected a file, found a pipe or a device"):
            read_bytes(tmp_path / name, limit=10, error=ImageError)
