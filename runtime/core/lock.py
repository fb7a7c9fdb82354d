"""A lock on a folder, so that only one process at a time writes to it."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runtime.core.errors import OutputError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on an existing folder for the length of the block.

    It is the operating system's lock on the file `.lock` (flock(2)), so it ends with the process,
    even a killed one. A `.lock` file that a killed process left behind locks nothing. On Windows,
    and on file systems without such locks, a second process is not noticed.

    Raises:
        OutputError: another process holds the lock (the message names it), or the folder cannot be
            written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, locked(Path(folder)):
        ...     [path.name for path in Path(folder).iterdir()]
        ['.lock']
    """
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    with ExitStack() as undo:
        try:
            handle = _acquire(path)
            undo.callback(_release, path, handle)
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"{folder}: cannot be written: {reason}") from error
        yield


def _acquire(path: Path) -> int:
    """Return an open, locked file descriptor of the file that is at `path` now."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if not _lock(handle):
            holder = os.read(handle, 200).decode(errors="replace").strip() or "process unknown"
            os.close(handle)
            raise OutputError(f"{path.parent}: another run is using this folder ({holder})")
        if _is_at(handle, path):
            return handle
        os.close(handle)


def _release(path: Path, handle: int) -> None:
    with suppress(OSError):  # the folder may have become read-only
        path.unlink()
    os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether `path` still names the open file; its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int) -> bool:
    """Return whether the lock was acquired; also true where the file system has no locks."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
