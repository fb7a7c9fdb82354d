"""Folders that the workers of pytest-xdist share: what fills one takes seconds and is done once."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


class MadeOnce:
    """The folders of one test session, by name."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        # The workers' temporary folders lie side by side in that of the session.
        self._root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def __call__(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Return a folder that the first to ask for it has filled; others wait until it is."""
        folder = self._root / f"made-once-{name}"
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".filled").exists():
                shutil.rmtree(folder, ignore_errors=True)  # what an earlier failure left
                folder.mkdir()
                fill(folder)
                (folder / ".filled").touch()
        return folder
