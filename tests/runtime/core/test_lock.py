"""One process at a time in a folder, whatever ends it."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.core.errors import OutputError
from runtime.core.lock import LOCK, locked
from tests.support.small_disk import small_disk

HOLD = """
import sys
from pathlib import Path
from runtime.core.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_until_the_process_that_holds_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        words = f"{tmp_path.name}: another run is using this folder .process {other.pid} on "
        with pytest.raises(OutputError, match=words), locked(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_folder_is_free_after_an_error_and_held_within_one_process_too(tmp_path: Path) -> None:
    words = f"another run .*process {os.getpid()} on "
    with locked(tmp_path), pytest.raises(OutputError, match=words), locked(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_a_lock_that_its_holder_has_removed_is_not_taken_for_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is removed after it was opened, and before it could be locked."""
    open_file, opened = os.open, []

    def open_and_lose(path: Path, *rest: int) -> int:
        handle = open_file(path, *rest)
        opened.append(path)
        if len(opened) == 1:
            path.unlink()
        return handle

    monkeypatch.setattr("runtime.core.lock.os.open", open_and_lose)
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()
        assert len(opened) == 2


def test_a_folder_that_cannot_be_written_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        (disk / "filler").write_bytes(bytes(12 * 1024))
        while True:
            try:
                with (disk / "filler").open("ab") as filler:
                    filler.write(bytes(4096))
            except OSError:
                break
        words = "disk: cannot be written: no space left on device"
        with pytest.raises(OutputError, match=words), locked(disk):
            pass
        assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "content"


def test_the_lock_names_its_holder_alone(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("process 1 on a machine with a very long name\n" * 9)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"process {os.getpid()} on {platform.node()}\n"
