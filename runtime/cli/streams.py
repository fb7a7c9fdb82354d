"""The standard streams of a command: text that they cannot encode, and warnings about data."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from runtime.core.errors import DataWarning, printable

_SHOWN = 5


def escape_unencodable() -> None:
    r"""Let standard output and error write `\u2013` where their encoding has no such character.

    Otherwise a dash or a file name would end a command, and its work, in an error.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a test or a notebook may have put another stream there
            with suppress(OSError):  # a pipe that stands in the place of a file cannot be sought
                reconfigure(errors="backslashreplace")


@contextmanager
def data_warnings() -> Iterator[None]:
    """Collect warnings about images and annotations; show the first ones at the end, each once."""
    found: dict[str, None] = {}

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, DataWarning):
            found[str(message)] = None
        else:
            shown(message, category, *place, **more)

    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.simplefilter("always", DataWarning)
        for package in ("PIL", "pydicom", "highdicom"):  # their errors are reported in our words
            warnings.filterwarnings("ignore", module=package)
        warnings.showwarning = show
        try:
            yield
        finally:
            for text in list(found)[:_SHOWN]:
                click.echo(f"Warning: {printable(text)}", err=True)
            if len(found) > _SHOWN:
                click.echo(f"Warning: the same of {len(found) - _SHOWN} more images", err=True)
