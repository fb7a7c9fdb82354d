"""Reading with bounds, and writing so that a failure leaves what was there before."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runtime.core.errors import DataError, OutputError, SegmentationError

_UNFINISHED = ".writing-"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path`, renamed to `path` when the block succeeds.

    When it fails, `path` is as it was and the file beside it is gone.

    Raises:
        OutputError: the folder cannot be written, the disk is full, or `path` is a folder.
    """
    target, temporary = _begin(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written, {_reason(error)}") from error
    finally:
        with suppress(OSError):  # the folder may have become read-only
            temporary.unlink()


def _begin(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the file that `path` leads to, links followed, and a new one beside it."""
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise OutputError(f"{path}: expected a file to write, found a folder or a device")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_UNFINISHED)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written, {_reason(error)}") from error
    os.close(handle)
    return target, Path(name)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new folder beside `path`, renamed to `path` when the block succeeds.

    When it fails, the folder beside is gone.

    Raises:
        OutputError: nothing can be written there, the disk is full, or `path` exists and is not an
            empty folder, by then if not before.
    """
    target = Path(path)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(
                f"{target}: expected no file or an empty folder, found something in its place"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=_UNFINISHED))
    except (OSError, ValueError) as error:
        raise OutputError(f"{target}: cannot be written, {_reason(error)}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written, {_reason(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def ensure_replaceable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError where a file cannot be written at `path`, before work is spent on it."""
    _, temporary = _begin(path)
    temporary.unlink(missing_ok=True)


def ensure_apart(
    outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Raise OutputError where one of the files to be written would replace one of `inputs`."""
    there = {found: path for path in outputs if (found := _identity(path)) is not None}
    for source in inputs if there else ():
        found = _identity(source)
        if found is not None and found in there:
            raise OutputError(f"{there[found]}: expected another file than the input {source}")


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what two names of one file have in common; None where there is no file."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def ensure_writable(folder: str | os.PathLike[str]) -> None:
    """Make `folder` and raise OutputError where nothing can be written to it."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written, {_reason(error)}") from error


def _umask() -> int:
    # The mask can only be read by setting it; mkstemp's 0600 would hide results from a group.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write `content` to `path`, wholly or not at all. Raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_all(
    folder: Path, contents: Mapping[str, bytes | memoryview], *, removing: Iterable[str] = ()
) -> None:
    """Write files by their names to `folder`, or none where there is no space for all of them.

    They appear in their order, one after the other, so that a killed process may leave the first.

    Args:
        removing: names of files that go once everything is written, before the first appears.

    Raises:
        OutputError: a file cannot be written.
    """
    with ExitStack() as files:
        for name, content in reversed(list(contents.items())):
            files.enter_context(replacing(folder / name)).write_bytes(content)
        for name in removing:
            (folder / name).unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left half-written in `folder`, where no other writes."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8, wholly or not at all. Raises OutputError."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def found_instead(path: Path) -> str | None:
    """Return what is at `path` in the place of a regular file, for a message; None for a file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "no file"
    except (OSError, ValueError) as error:
        return _reason(error)
    if stat.S_ISREG(mode):
        return None
    # A pipe may never have anything to read, and a device never end.
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"


def read_bytes(
    path: str | os.PathLike[str], *, limit: int, error: type[SegmentationError]
) -> bytes:
    """Return a file's content; raise `error` where it cannot be read or exceeds `limit` bytes."""
    source = Path(path)
    try:
        size = source.stat().st_size
        if (found := found_instead(source)) is not None:
            raise error(f"{source}: expected a file, found {found}")
        if size > limit:
            raise error(f"{source}: expected at most {limit} bytes, found {size}")
        with source.open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError as fault:
        raise error(f"{source}: expected a file, found nothing of that name") from fault
    except (OSError, ValueError) as fault:
        raise error(f"{source}: cannot be read, {_reason(fault)}") from fault


def confined(folder: Path, name: str) -> Path:
    """Return `folder / name`, where `name` comes from a file that is not trusted.

    Raises:
        DataError: `name` is absolute, empty, or leads out of `folder` (through `..` or a link).
    """
    root = folder.resolve()
    found = repr(name[:200])
    try:
        if _is_below(root, (root / name).resolve()):
            return folder / name
        if _is_below(root, Path(os.path.normpath(root / name))):
            found += ", a link that leads out of it"
    except (OSError, ValueError, RuntimeError):
        pass
    raise DataError(f"{folder}: expected a file name inside this folder, found {found}")


def _is_below(root: Path, path: Path) -> bool:
    return path != root and path.is_relative_to(root)
