"""Reading with bounds, and writing wholly or not at all."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.core.errors import DataError, ImageError, OutputError
from runtime.core.files import (
    confined,
    ensure_writable,
    read_bytes,
    replacing,
    replacing_folder,
    write_all,
    write_bytes,
    write_text,
)

ROOT = Path(__file__).resolve().parents[3]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_halfway(target: Path, fault: type[BaseException]) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half")
        raise fault


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, DataError])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, fault: type[BaseException]
) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(fault):
        fail_halfway(target, fault)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_a_block_that_raises_makes_no_file_where_none_was(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_halfway(tmp_path / "new.bin", RuntimeError)
    assert names(tmp_path) == []


def test_the_old_file_stays_until_the_block_is_done(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["result.json"]


def test_an_oserror_of_the_block_becomes_an_output_error_that_names_the_file(
    tmp_path: Path,
) -> None:
    target = tmp_path / "result.json"
    with pytest.raises(OutputError, match=r"result\.json.*no space left"), replacing(target):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "content")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "content"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_a_written_file_has_the_mode_that_open_would_give_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "ours.txt", "")
        (tmp_path / "plain.txt").touch()
        after = os.umask(umask)
    finally:
        os.umask(before)
    assert (tmp_path / "ours.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode
    assert after == umask


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_text(tmp_path / "result.json", "new")
    assert names(tmp_path) == ["result.json"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(OutputError, match="out"):
        write_text(tmp_path / "out" / "result.json", "new")
    assert (tmp_path / "out").read_text() == "old"


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_a_name_that_the_system_refuses_is_an_output_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        write_text(tmp_path / name, "new")
    assert names(tmp_path) == []


# Folders


def fail_in_a_folder(target: Path, fault: type[BaseException]) -> None:
    with replacing_folder(target) as temporary:
        (temporary / "half").write_text("half")
        raise fault


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
def test_a_block_that_raises_leaves_no_folder_behind(
    tmp_path: Path, there: bool, fault: type[BaseException]
) -> None:
    target = tmp_path / "cache"
    if there:
        target.mkdir()
    with pytest.raises(fault):
        fail_in_a_folder(target, fault)
    assert list(tmp_path.rglob("*")) == ([target] if there else [])


@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
def test_a_folder_appears_whole_when_its_block_is_done(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "missing" / "cache"
    if there:
        target.mkdir(parents=True)
    with replacing_folder(target) as temporary:
        (temporary / "part").write_text("content")
        assert not (target / "part").exists()
    assert (target / "part").read_text() == "content"
    assert names(target.parent) == ["cache"]


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "cache"
    with pytest.raises(OutputError, match="cache: cannot be written"):  # noqa: PT012, SIM117
        with replacing_folder(target) as temporary:
            (temporary / "part").write_text("ours")
            write_text(target / "part", "theirs")
    assert (target / "part").read_text() == "theirs"
    assert names(tmp_path) == ["cache"]


def test_a_file_in_the_place_of_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("old")
    with pytest.raises(OutputError, match="cache"), replacing_folder(tmp_path / "cache"):
        pass
    assert (tmp_path / "cache").read_text() == "old"
    assert names(tmp_path) == ["cache"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_folder_has_the_mode_that_mkdir_would_give_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with replacing_folder(tmp_path / "ours"):
            pass
        (tmp_path / "plain").mkdir()
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "a" / "b")
    ensure_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_place_where_no_folder_can_be_is_not_writable(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OutputError, match=name):
        ensure_writable(tmp_path / name)
    assert (tmp_path / "file").read_text() == "old"


# Disks and permissions


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command here, so no disk to fill")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_output_error_and_keeps_the_old_file(small_disk: Path) -> None:
    target = small_disk / "result.bin"
    write_bytes(target, b"old")
    with pytest.raises(OutputError, match=r"result\.bin.*no space left"):
        write_bytes(target, bytes(1 << 20))
    assert target.read_bytes() == b"old"
    assert names(small_disk) == ["result.bin"]


WRITE_AS_ANOTHER = """
import os, sys
from pathlib import Path
from runtime.core.errors import OutputError
from runtime.core.files import ensure_writable, write_text
if os.geteuid() == 0:
    os.setuid(65534)
for write in (
    lambda path: write_text(path, "new"),
    lambda path: ensure_writable(path.parent),
):
    try:
        write(Path(sys.argv[1]))
        print("written")
    except OutputError as error:
        print("OutputError:", error)
"""


@pytest.mark.parametrize(
    ("mode", "answer", "content"),
    [(0o777, "written", "new"), (0o555, "OutputError: ", "old")],
    ids=["writable", "not writable"],
)
def test_a_folder_without_write_permission_is_an_output_error(
    mode: int, answer: str, content: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = folder / "result.txt"
        target.write_text("old")
        folder.chmod(mode)
        run = subprocess.run(
            [sys.executable, "-c", WRITE_AS_ANOTHER, str(target)],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        found = target.read_text(), names(folder)
        folder.chmod(0o700)
    answers = run.stdout.splitlines()
    assert len(answers) == 2, run.stderr
    for line in answers:
        assert line.startswith(answer)
        assert (mode == 0o777) != ("permission denied" in line and str(folder) in line)
    assert found == (content, ["result.txt"])


def test_a_file_of_the_limit_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"12345")
    assert read_bytes(path, limit=5, error=ImageError) == b"12345"
    with pytest.raises(ImageError, match=r"x\.bin.*at most 4 bytes, found 5"):
        read_bytes(path, limit=4, error=ImageError)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.png: no such file"):
        read_bytes(tmp_path / "absent.png", limit=5, error=ImageError)
    with pytest.raises(DataError, match="found a folder"):
        read_bytes(tmp_path, limit=5, error=DataError)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_a_name_that_the_system_refuses_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        read_bytes(tmp_path / name, limit=5, error=DataError)


@pytest.mark.parametrize("name", ["a.png", "sub/a.png", "sub/../a.png", "..a.png", "not there"])
def test_a_name_inside_the_folder_is_joined(tmp_path: Path, name: str) -> None:
    assert confined(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a.png", "sub/../../a.png", "/etc/hostname", "a\0.png", "a\ud800"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(DataError, match="inside this folder") as caught:
        confined(folder, name)
    str(caught.value).encode()


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "real").write_text("x")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "within").symlink_to(folder / "real")
    for name in ("out", "up/secret"):
        with pytest.raises(DataError, match=f"'{name}', a link that leads out of it"):
            confined(folder, name)
    for name in ("loop/x", "../secret", str(tmp_path / "secret")):
        with pytest.raises(DataError, match=f"'{name}'$"):
            confined(folder, name)
    assert confined(folder, "within").read_text() == "x"


def test_a_folder_reached_through_a_link_confines_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert confined(tmp_path / "link", "a.png") == tmp_path / "link" / "a.png"
    with pytest.raises(DataError):
        confined(tmp_path / "link", "../other")


def test_a_link_is_followed_and_a_device_is_refused(tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target.json", "link.json", "pipe"))
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="pipe: cannot be written: it is a folder or a device"):
        write_text(pipe, "new")


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    write_text(path, "content")
    assert path.read_text() == "content"


def test_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced, fsync = tmp_path / "result.txt", [], os.fsync

    def record(handle: int) -> None:
        synced.append((os.pread(handle, 100, 0), target.exists()))
        fsync(handle)

    monkeypatch.setattr("runtime.core.files.os.fsync", record)
    write_text(target, "content")
    assert synced == [(b"content", False)]


def test_several_files_appear_in_their_order_after_others_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").write_text("old")
    seen: list[list[str]] = []
    replace = Path.replace

    def record(source: Path, target: Path) -> Any:
        seen.append([name for name in names(tmp_path) if not name.startswith(".")])
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", record)
    write_all(tmp_path, {"b": b"1", "a": b"2", "c": b"3"}, removing=["old", "never there"])
    assert seen == [[], ["b"], ["a", "b"]]
    assert names(tmp_path) == ["a", "b", "c"]


def test_text_that_utf_8_cannot_hold_is_escaped(tmp_path: Path) -> None:
    write_text(tmp_path / "names.txt", "scan\udcff.png")
    assert (tmp_path / "names.txt").read_text() == "scan\\udcff.png"
