"""Packages that only an extra of this distribution brings."""

import importlib.util
from pathlib import Path

from runtime.core.errors import MissingExtraError


def require(extra: str, *modules: str) -> None:
    """Raise MissingExtraError if a module is missing; the message names the extra to install."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"{missing[0]} is not installed: run {_installation(extra)}")


def _installation(extra: str) -> str:
    """Return how to install an extra: from the folder of the sources, or from the wheel again.

    The wheel is not on PyPI, where its name alone would ask for whatever has that name.
    """
    if (Path(__file__).parents[2] / "pyproject.toml").is_file():
        return f"pip install '.[{extra}]' in the toolkit's folder"
    return f"pip install 'FILE.whl[{extra}]' with the wheel that the toolkit was installed from"
