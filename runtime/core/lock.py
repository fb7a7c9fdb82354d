"""One process at a time in a folder."""

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
    """Hold a folder, which must be there, so that no other process that asks for it gets it.

    The lock is the operating system's, on the file `.lock` (flock(2)): it ends with the process,
    however that ends. A file that a killed process left behind holds nothing. Windows and file
    systems without such locks do not notice a second process.

    Raises:
        OutputError: another process, which is named, holds the folder; or it cannot be written.
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
            raise OutputError(f"{folder}: cannot be written, {reason}") from error
        yield


def _acquire(path: Path) -> int:
    """Return an open, locked file that is still the one at `path`."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if not _lock(handle):
            holder = os.read(handle, 200).decode(errors="replace").strip() or "one"
            os.close(handle)
            raise OutputError(
                f"{path.parent}: expected no other run at work in this folder, found {holder}"
            )
        if _is_at(handle, path):
            return handle
        os.close(handle)


def _release(path: Path, handle: int) -> None:
    with suppress(OSError):  # the folder may have become read-only
        path.unlink()
    os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether who held it before did not remove the file after we opened it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int) -> bool:
    """Return whether the lock is ours, as it is where the file system knows of none."""
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
