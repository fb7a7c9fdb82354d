"""Commands that report each failure in one sentence, with an exit code."""

import os
import sys
from pathlib import Path
from traceback import format_exception
from typing import Any

import click

from runtime.cli.signals import Terminated, terminable, unwrapped
from runtime.cli.streams import data_warnings, escape_unencodable
from runtime.core.errors import SegmentationError, printable
from runtime.core.extras import require as require
from runtime.core.version import __version__

FAILED = 1
"""Exit code of a run that failed; errors of use and input have their own, `UseError.exit_code`."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT."""
TERMINATED = 143
"""Exit code after SIGTERM: 128 and the number of the signal."""


class Command(click.Command):
    """A command that reports each failure in one sentence; `--debug` shows the traceback.

    Exit codes: 2 for wrong use or input, 1 for a failed run, 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        debug = click.Option(["--debug"], is_flag=True, help="Show the traceback of an error.")
        self.params += [debug, _version_option()]

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command as a program."""
        escape_unencodable()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn exceptions into a message and an exit code."""
        debug = ctx.params.pop("debug")
        try:
            with terminable(), data_warnings(), unwrapped():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            # A broken pipe is not a failure: the reader has seen enough, and click ends quietly.
            raise
        except Exception as error:
            if debug:
                click.echo("".join(format_exception(error)), err=True, nl=False)
            raise _failure(error) from error
        except Terminated as error:
            raise _Failure("stopped by SIGTERM", TERMINATED) from error
        except KeyboardInterrupt as error:
            raise _Failure("stopped by Ctrl-C", INTERRUPTED) from error


class Group(click.Group):
    """A group of `Command`s."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_version_option())

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the group as a program."""
        escape_unencodable()
        return super().main(*args, **kwargs)


class DefaultGroup(Group):
    """A group in which arguments that do not begin with a command belong to one of its commands.

    Args:
        default: the name of that command.
    """

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with the name of the default command where none is given."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def _version_option() -> click.Option:
    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"seg-toolkit {__version__}")
            context.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version of the toolkit.",
    )


def share_cores() -> None:
    """Let PyTorch's threads spin briefly, then sleep; call it before PyTorch is loaded.

    By default GNU OpenMP spins, which makes training many times slower as soon as another process
    wants one of the cores. This many spins lose next to nothing on an idle machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "4000")


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code: int = exit_code  # type: ignore[misc]


def _failure(error: Exception) -> _Failure:
    if isinstance(error, SegmentationError):
        return _Failure(printable(error), error.exit_code)
    if isinstance(error, OSError) and error.filename is None and not _output_works():
        reason = (error.strerror or str(error)).lower()
        return _Failure(f"standard output: cannot be written: {reason}", FAILED)
    if isinstance(error, MemoryError):
        return _Failure("not enough memory available", FAILED)
    message = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    return _Failure(printable(" ".join(message.split())), FAILED)


def _output_works() -> bool:
    """Return whether standard output takes the end of a line."""
    try:
        click.echo()
    except OSError:
        # Otherwise Python tries to write the rest at its exit, and changes the exit code.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return False
    return True
