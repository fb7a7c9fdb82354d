"""Bounded reads, and atomic writes: a failed write leaves the previous file unchanged."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runtime.core.errors import DataError, OutputError, SegmentationError

_UNFINISHED = ".writing-"


def user_cache() -> Path:
    """Return the toolkit's folder in the user's cache, which may not exist yet.

    By the XDG Base Directory Specification it is in `$XDG_CACHE_HOME`, or else in `~/.cache`.
    """
    stated = os.environ.get("XDG_CACHE_HOME")
    return (Path(stated) if stated else Path.home() / ".cache") / "seg-toolkit"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` when the block succeeds.

    When the block fails, `path` is unchanged and the temporary file is removed.

    Raises:
        OutputError: the folder cannot be written, the disk is full, or `path` is a folder.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/result.txt") as temporary:
        ...         _ = temporary.write_text("done")
        ...     Path(f"{folder}/result.txt").read_text()
        'done'
    """
    target, temporary = _create_beside(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {_reason(error)}") from error
    finally:
        with suppress(OSError):  # the folder may have become read-only
            temporary.unlink()


def _create_beside(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the file that `path` names, links resolved, and a new temporary file beside it."""
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise OutputError(f"{path}: cannot be written: it is a folder or a device")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_UNFINISHED)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written: {_reason(error)}") from error
    os.close(handle)
    return target, Path(name)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block succeeds.

    When the block fails, the temporary folder is removed.

    Raises:
        OutputError: the place cannot be written, the disk is full, or `path` exists and is not an
            empty folder, at the start or at the end of the block.
    """
    target = Path(path)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{target}: already exists and is not an empty folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=_UNFINISHED))
    except (OSError, ValueError) as error:
        raise OutputError(f"{target}: cannot be written: {_reason(error)}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {_reason(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def ensure_replaceable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError if `path` cannot be written; call it before a long computation."""
    _, temporary = _create_beside(path)
    temporary.unlink(missing_ok=True)


def ensure_apart(
    outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Raise OutputError if a file to be written would replace one of `inputs`.

    Files are compared by identity, so that links and other spellings of a path are noticed.

    Example:
        >>> ensure_apart(["/dev/null"], ["/dev/../dev/null"])
        Traceback (most recent call last):
        runtime.core.errors.OutputError: /dev/null: would replace the input /dev/../dev/null
    """
    existing = {key: path for path in outputs if (key := _identity(path)) is not None}
    for source in inputs if existing else ():
        key = _identity(source)
        if key is not None and key in existing:
            raise OutputError(f"{existing[key]}: would replace the input {source}")


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return device and inode, equal for all names of one file; None where there is no file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def ensure_writable(folder: str | os.PathLike[str]) -> None:
    """Create `folder` if needed; raise OutputError if nothing can be written to it."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {_reason(error)}") from error


def _umask() -> int:
    # The mask can only be read by setting it. Without it, mkstemp's 0600 would hide results from a
    # group.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write `content` to `path` atomically. Raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_all(
    folder: Path, contents: Mapping[str, bytes | memoryview], *, removing: Iterable[str] = ()
) -> None:
    """Write several files to `folder`, or none if there is no space for all of them.

    The files appear one after the other in their order: a killed process may leave only the first.

    Args:
        contents: contents by file name.
        removing: names of files to remove after everything is written, before the first appears.

    Raises:
        OutputError: a file cannot be written.
    """
    with ExitStack() as files:
        for name, content in reversed(list(contents.items())):
            files.enter_context(replacing(folder / name)).write_bytes(content)
        for name in removing:
            (folder / name).unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of killed processes; nobody else may be writing to `folder`."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8, atomically. Raises OutputError.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_text(f"{folder}/new/note.txt", "written")
        ...     Path(f"{folder}/new/note.txt").read_text()
        'written'
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def found_instead(path: Path) -> str | None:
    """Return a description of what `path` is instead of a regular file; None for a regular file.

    Example:
        >>> found_instead(Path("/")), found_instead(Path("/absent/scan.png"))
        ('a folder', 'no file')
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "no file"
    except (OSError, ValueError) as error:
        return _reason(error)
    if stat.S_ISREG(mode):
        return None
    # Reading a pipe may block, and a device may never end.
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"


def read_bytes(
    path: str | os.PathLike[str], *, limit: int, error: type[SegmentationError]
) -> bytes:
    """Return a file's content.

    Raises:
        error: the file cannot be read, is not a regular file, or is larger than `limit` bytes.

    Example:
        >>> read_bytes("absent.json", limit=100, error=DataError)
        Traceback (most recent call last):
        runtime.core.errors.DataError: absent.json: no such file
    """
    source = Path(path)
    try:
        size = source.stat().st_size
        if (found := found_instead(source)) is not None:
            raise error(f"{source}: expected a file, found {found}")
        if size > limit:
            raise error(f"{source}: file too large, expected at most {limit} bytes, found {size}")
        with source.open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError as fault:
        raise error(f"{source}: no such file") from fault
    except (OSError, ValueError) as fault:
        raise error(f"{source}: cannot be read: {_reason(fault)}") from fault


def confined(folder: Path, name: str, *, links: Iterable[Path] = ()) -> Path:
    """Return `folder / name` for a name from an untrusted file.

    Args:
        links: folders that a link in `folder` may lead to.

    Raises:
        DataError: `name` is absolute, empty, or leads out of `folder` (through `..` or a link).

    Example:
        >>> confined(Path("data"), "scans/a.png").as_posix()
        'data/scans/a.png'
        >>> confined(Path("data"), "../a.png")
        Traceback (most recent call last):
        runtime.core.errors.DataError: data: expected a file inside this folder, found '../a.png'
    """
    root = folder.resolve()
    found = repr(name[:200])
    try:
        path = (root / name).resolve()
        inside = _is_below(root, Path(os.path.normpath(root / name)))
        linked = inside and any(_is_below(link.resolve(), path) for link in links)
        if linked or _is_below(root, path):
            return folder / name
        if inside:
            found += ", a link that leads out of it"
    except (OSError, ValueError, RuntimeError):
        pass
    raise DataError(f"{folder}: expected a file inside this folder, found {found}")


def _is_below(root: Path, path: Path) -> bool:
    return path != root and path.is_relative_to(root)
