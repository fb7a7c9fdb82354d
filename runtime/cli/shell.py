"""What every command shares: options, the way to fail, tables and progress bars."""

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from runtime.cli.signals import Terminated, terminable
from runtime.core.errors import MissingExtraError, SegmentationError
from runtime.core.machine import MAX_THREADS
from runtime.core.printable import printable

Function = TypeVar("Function", bound=Callable[..., Any])

ARTIFACTS = Path("artifacts")
PHANTOM = ARTIFACTS / "phantom"
CACHE = ARTIFACTS / "cache"
_TOLD = 20


class Command(click.Command):
    """A command that tells each failure in one sentence.

    Exit codes: 2 for wrong use or input, 1 for a fault of the run, 130 for Ctrl-C, 143 for SIGTERM.
    With `--debug` the traceback is shown.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        debug = click.Option(["--debug"], is_flag=True, help="Show the traceback of an error.")
        self.params.append(debug)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into a message and an exit code."""
        debug = ctx.params.pop("debug")
        try:
            with terminable(), warnings.catch_warnings():
                # Pillow's, of a huge image; the error that follows says it in our words.
                warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
                return super().invoke(ctx)
        except Exception as error:
            # A broken pipe is no fault: whoever reads has seen enough, and click ends quietly.
            if debug or isinstance(
                error,
                click.ClickException | click.exceptions.Exit | click.Abort | BrokenPipeError,
            ):
                raise
            raise _failure(error) from error
        except Terminated as error:
            raise _Failure("stopped by SIGTERM", 143) from error
        except KeyboardInterrupt as error:
            raise _Failure("stopped by Ctrl-C", 130) from error


class Group(click.Group):
    """A group of `Command`s."""

    command_class = Command


def _failure(error: Exception) -> "_Failure":
    if isinstance(error, SegmentationError):
        return _Failure(printable(error), error.exit_code)
    if isinstance(error, OSError) and error.filename is None and not _takes_output():
        reason = (error.strerror or str(error)).lower()
        return _Failure(f"standard output: cannot be written, {reason}", 1)
    if isinstance(error, MemoryError):
        return _Failure("the machine's memory is not enough for this", 1)
    message = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    return _Failure(printable(" ".join(message.split())), 1)


def _takes_output() -> bool:
    """Tell whether standard output takes the end of a line."""
    try:
        click.echo()
    except OSError:
        # Else Python tries to write the rest at its end, and changes the exit code.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return False
    return True


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code: int = exit_code  # type: ignore[misc]


def data_option(default: str) -> Callable[[Function], Function]:
    """`--data DIR`."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help=f"Folder of a COCO data set.  [default: {default}]",
    )


def threads_option(function: Function) -> Function:
    """`--threads N`."""
    return click.option(
        "--threads",
        type=click.IntRange(1, MAX_THREADS),
        metavar="N",
        help="Threads of the computation.  [default: the cores this process may use]",
    )(function)


def cache_option(function: Function) -> Function:
    """`--cache DIR`."""
    return click.option(
        "--cache",
        type=click.Path(path_type=Path),
        default=CACHE,
        show_default=True,
        metavar="DIR",
        help="Where decoded images are kept.",
    )(function)


def on_error_option(skipped: str) -> Callable[[Function], Function]:
    """`--on-error skip|stop`."""
    return click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="What an image that cannot be read does: end the command with exit code 2, or be "
        f"skipped, counted and named{skipped}. With skip the exit code is 0 where at least one "
        "image could be read.",
    )


def skipped_text(reasons: Sequence[str]) -> str:
    """Return lines that tell of images that were skipped."""
    told = [*map(printable, reasons[:_TOLD]), *(["..."] if len(reasons) > _TOLD else [])]
    return "\n  ".join([f"Skipped, because they cannot be read ({len(reasons)}):", *told])


def json_option(what: str) -> Callable[[Function], Function]:
    """`--json FILE`."""
    return click.option(
        "--json",
        "json_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Write {what} as JSON.",
    )


def require(extra: str, *modules: str) -> None:
    """Raise MissingExtraError, naming the install that helps, where a module is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{missing[0]} is not installed: run pip install '.[{extra}]' in the toolkit's folder"
        )


def share_cores() -> None:
    """Let PyTorch's threads spin briefly, then sleep; call it before PyTorch is loaded.

    By default GNU OpenMP spins, which makes training many times slower as soon as another process
    wants one of the cores. This many spins lose next to nothing on an idle machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "4000")


@contextmanager
def progress(label: str) -> Iterator["ProgressBar"]:
    """Yield a bar on standard error, which appears when it is first called."""
    bar = ProgressBar(label)
    try:
        yield bar
    finally:
        bar.close()


class ProgressBar:
    """Called with what is done, what there is in all, and a note to show beside the time left.

    What there is in all may change from one call to the next.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None

    def __call__(self, done: int, total: int, note: str | None = None) -> None:
        """Draw `done` of `total`."""
        if self._bar is None:
            self._bar = click.progressbar(
                length=total,
                label=self._label,
                file=sys.stderr,
                item_show_func=_as_it_is,
                show_pos=True,
            )
            self._bar.render_progress()
        self._bar.length = total
        self._bar.update(done - self._bar.pos, note)

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.render_finish()


def _as_it_is(note: str | None) -> str | None:
    return note


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out rows in columns: text to the left, numbers to the right; NaN and None as a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    right = [
        all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(header))
    ]

    def line(values: Sequence[str]) -> str:
        aligned = (
            value.rjust(width) if is_right else value.ljust(width)
            for value, width, is_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in cells)])


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


def counted(number: int, noun: str) -> str:
    """Return "1 image", "2 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
