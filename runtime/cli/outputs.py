"""The files that a command writes: checked first, written at the end, then named."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from runtime.core.files import ensure_apart, ensure_replaceable

StrPath = str | os.PathLike[str]


class Outputs:
    """The files that a command was asked to write, by the options that name them.

    They are checked before the command's work, so that no work is lost for want of a place.

    Args:
        inputs: files that must not be replaced.
        files: the path by the option's name without dashes; None for an option not given.

    Raises:
        click.UsageError: two options name one file.
        OutputError: a file cannot be written, or would replace an input.

    Example:
        >>> outputs = Outputs(["model.onnx"], json=None, csv=None)
        >>> outputs.write(json=print, csv=print)  # neither option was given
    """

    def __init__(self, inputs: Iterable[StrPath], **files: Path | None) -> None:
        self._files = {option: file for option, file in files.items() if file is not None}
        if len(set(self._files.values())) < len(self._files):
            names = " and ".join(f"--{option}" for option in self._files)
            raise click.UsageError(f"{names} need different files")
        self.protect(inputs)
        for file in self._files.values():
            ensure_replaceable(file)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to write."""
        return tuple(self._files.values())

    def has(self, option: str) -> bool:
        """Return whether an option was given."""
        return option in self._files

    def protect(self, inputs: Iterable[StrPath]) -> None:
        """Raise OutputError if one of the outputs would replace one of further `inputs`."""
        ensure_apart(self._files.values(), inputs)

    def write(self, **writers: Callable[[Path], object]) -> None:
        """Write each file that was asked for, and print its name.

        Args:
            writers: by option, a function that writes the file at a path.

        Raises:
            OutputError: a file cannot be written.
        """
        for option, file in self._files.items():
            writers[option](file)
        for file in self._files.values():
            click.echo(str(file))
