import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.errors import DataError
from runtime.core.json_files import read_json, without_nan, write_json

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def without_nan_by_text(content: object) -> object:
    """What a JSON parser makes of NaN and infinities once the words are replaced by null."""
    return json.loads(json.dumps(content), parse_constant=lambda _: None)


@given(JSON_LIKE)
@settings(max_examples=60, deadline=None)
def test_only_nan_and_infinities_become_null(content: object) -> None:
    cleaned = without_nan(content)
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == without_nan_by_text(content)


def test_what_is_written_as_json_is_read_back(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, "ü", None, True], "b": {"nan": math.nan, "inf": (-math.inf, 1)}}
    write_json(tmp_path / "x.json", content)
    read = read_json(tmp_path / "x.json", error=DataError)
    assert read == {"a": [1, 2.5, "ü", None, True], "b": {"nan": None, "inf": [None, 1]}}


def test_content_that_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"new": object()})
    assert read_json(tmp_path / "x.json", error=DataError) == {"old": 1}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"plain text", b'{"a": 1} more', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut", "text", "trailing", "not UTF-8", "nested", "endless number"],
)
def test_what_is_not_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json: (not valid JSON|JSON nested deeper)"):
        read_json(tmp_path / "x.json", error=DataError)


def test_a_json_file_of_more_than_256_mib_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate((256 << 20) + 1)  # with no blocks on the disk
    with pytest.raises(DataError, match="file too large, expected at most 268435456 bytes"):
        read_json(tmp_path / "large.json", error=DataError)


def test_json_ends_with_the_end_of_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    assert (tmp_path / "a.json").read_text().endswith("}\n")
