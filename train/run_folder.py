"""The folder of a run: the names of its files, and whether a run can be written to it.

Commands check a folder before they load PyTorch, which takes seconds.
"""

from pathlib import Path

from runtime.core.errors import ConfigError, OutputError
from runtime.core.lock import locked

LAST, BEST = "last.pt", "best.pt"


def ensure_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that a folder has no run that would be lost.

    Raises:
        ConfigError: both `resume` and `overwrite` are given.
        OutputError: the folder has a run and neither is given.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite exclude each other")
    if (folder / LAST).exists() and not (resume or overwrite):
        # A run that another process trains can be neither resumed nor replaced.
        with locked(folder):
            pass
        raise OutputError(
            f"{folder}: contains a finished or interrupted run; give --resume, --overwrite or "
            "another --out"
        )
