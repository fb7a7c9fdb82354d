from pathlib import Path

import pytest

from runtime.core.errors import ConfigError, OutputError
from runtime.core.lock import locked
from train.run_folder import LAST, ensure_free


def test_only_a_folder_with_a_run_must_be_resumed_or_replaced(tmp_path: Path) -> None:
    ensure_free(tmp_path / "new", resume=False, overwrite=False)
    ensure_free(tmp_path, resume=False, overwrite=False)
    (tmp_path / LAST).touch()
    with pytest.raises(OutputError, match="give --resume, --overwrite or another --out"):
        ensure_free(tmp_path, resume=False, overwrite=False)
    ensure_free(tmp_path, resume=True, overwrite=False)
    ensure_free(tmp_path, resume=False, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_a_run_that_another_process_trains_is_called_so(tmp_path: Path) -> None:
    (tmp_path / LAST).touch()
    with locked(tmp_path), pytest.raises(OutputError, match="another run is using this folder"):
        ensure_free(tmp_path, resume=False, overwrite=False)


def test_both_exclude_each_other_in_any_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume and overwrite exclude each other"):
        ensure_free(tmp_path / "new", resume=True, overwrite=True)
