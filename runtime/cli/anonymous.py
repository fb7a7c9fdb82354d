"""Messages of a command without the names of scans (`--anonymous-log`)."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from runtime.core.errors import (
    ConfigError,
    MissingExtraError,
    ModelError,
    ProviderError,
    SegmentationError,
)
from runtime.core.pseudonyms import WITHHELD, Pseudonyms

Function = TypeVar("Function", bound=Callable[..., Any])

_NAMES_NO_SCAN = (
    *(ConfigError, MissingExtraError, ModelError, ProviderError),
    *(click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError, MemoryError),
)


def anonymous_option(effect: str) -> Callable[[Function], Function]:
    """`--anonymous-log`; `effect` continues the sentence on what bears pseudonyms."""
    return click.option(
        "--anonymous-log",
        "anonymous",
        is_flag=True,
        help=f"Put pseudonyms in the place of all names of files, folders and patients: {effect}.",
    )


@contextmanager
def anonymous_messages(names: Pseudonyms | None) -> Iterator[None]:
    """Let errors and warnings within name scans by pseudonyms; None changes nothing."""
    if names is None:
        yield
        return
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            shown(names.message(str(message)), category, *place, **more)

        warnings.showwarning = show
        try:
            yield
        except _NAMES_NO_SCAN:
            raise
        except Exception as error:
            raise _anonymous(error, names) from None


def _anonymous(error: Exception, names: Pseudonyms) -> Exception:
    """Return an error whose message names no file: of the same class, where it is ours."""
    if not isinstance(error, SegmentationError):
        return RuntimeError(f"{type(error).__name__}: {WITHHELD}")
    error.args = (names.message(str(error)),)
    return error
