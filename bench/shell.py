"""What the commands that train share: where encoder weights are, and how far the work is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from bench.work import NOTE
from runtime.cli.display import progress
from train.architectures import PRETRAINED

Function = TypeVar("Function", bound=Callable[..., Any])


def encoder_weights_option(function: Function) -> Function:
    """`--encoder-weights [ARCH=]WHERE`; see `encoder_weights`."""
    return click.option(
        "--encoder-weights",
        "weights",
        multiple=True,
        metavar="[ARCH=]imagenet|none|FILE",
        help="Of a pretrained encoder; without ARCH= of resnet50. Repeat it.  "
        "[default: imagenet; demo: none]",
    )(function)


def encoder_weights(options: tuple[str, ...], *, demo: bool) -> dict[str, str]:
    """Return where each encoder's weights are, by architecture, from the option's values."""
    weights = dict.fromkeys(PRETRAINED, "none") if demo else {}
    for option in options:
        arch, equals, where = option.partition("=")
        weights[arch if equals else "resnet50"] = where if equals else option
    return weights


@contextmanager
def work_progress(label: str) -> Iterator[Callable[[str, float, float], None]]:
    """Yield a `bench.work.Listener` that draws a bar, after an estimate of the whole.

    Where standard error is no terminal, it names each piece of work once.
    """
    estimated: list[float] = []
    told: set[str] = set()
    in_terminal = sys.stderr.isatty()
    with progress(label) as bar:

        def listener(step: str, done: float, total: float) -> None:
            if total > done and not estimated:
                click.echo(f"About {_duration(total)} of work on this machine, by estimate.")
                estimated.append(total)
            name = step.split(NOTE)[0]
            if not in_terminal and name not in told:
                click.echo(name, err=True)
            told.add(name)
            bar.count(round(done), round(total), step)

        yield listener


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
