"""Shared parts of the commands that train: demo data, encoder weights, the progress bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtime.cli.display import progress
from runtime.cli.options import PHANTOM, check_scheduler
from runtime.core.extras import require
from runtime.core.progress import Progress, ProgressCallback, duration_text
from train.config import TrainConfig

if TYPE_CHECKING:
    from runtime.data.coco import Dataset

Function = TypeVar("Function", bound=Callable[..., Any])

_DEFAULT_ARCH = "resnet50"


def encoder_weights_option(function: Function) -> Function:
    """`--encoder-weights [ARCH=]WHERE`, as the parameter `weights`; see `encoder_weights`."""
    return click.option(
        "--encoder-weights",
        "weights",
        multiple=True,
        metavar="[ARCH=]imagenet|none|FILE",
        help=f"Weights of a pretrained encoder; without ARCH= of {_DEFAULT_ARCH}. Repeatable.  "
        "[default: imagenet; demo: none]",
    )(function)


def encoder_weights(options: tuple[str, ...]) -> dict[str, str]:
    """Return the source of each encoder's weights, by architecture, from the option's values.

    Example:
        >>> encoder_weights(("r50.safetensors", "swin=none"))
        {'resnet50': 'r50.safetensors', 'swin': 'none'}
    """
    weights = {}
    for option in options:
        arch, equals, source = option.partition("=")
        weights[arch if equals else _DEFAULT_ARCH] = source if equals else option
    return weights


def require_scheduler(scheduler: str | None, threads: int | None) -> None:
    """Raise an error where trainings cannot be handed to a scheduler.

    Raises:
        MissingExtraError: Dask is not installed.
        UsageError: no threads are given: those of each machine would round in their own ways.
        ConfigError: no scheduler is there.
        DataError: the scheduler's file cannot be read.
    """
    if scheduler is None:
        return
    require("distributed", "distributed", "cryptography")
    if threads is None:
        raise click.UsageError("--scheduler needs --threads, those of each training")
    check_scheduler(scheduler)


def ensure_data(data: Path | None) -> None:
    """Draw the phantom set of the demo, and say so, where no data set was given."""
    from runtime.data.phantom import ensure_phantom

    if data is None:
        click.echo(f"Demo: the phantom set in {PHANTOM} (synthetic scans); give --data for yours.")
        with progress("Phantom") as bar:
            ensure_phantom(PHANTOM, on_progress=bar)


def echo_target_notes(config: TrainConfig) -> "Dataset":
    """Print what masks a run is trained on, and which annotations are dropped.

    Returns:
        The data set of the run.

    Raises:
        DataError: it cannot be read, or is not ready to train on.
    """
    from train.targets import read_training_splits

    data = read_training_splits(config)
    for note in data.notes:
        click.echo(note)
    return data.dataset


@contextmanager
def schedule_progress(label: str, *, estimated: bool) -> Iterator[ProgressCallback]:
    """Yield a progress callback for a `bench.schedule.Schedule`: an estimate, then a bar.

    Args:
        estimated: print the estimate, which is that of one process of this machine.

    Where standard error is no terminal, the name of each step is printed once instead, and a line
    for each milestone within it.
    """
    printed = ""
    in_terminal = sys.stderr.isatty()
    with progress(label, seconds=True) as bar:

        def on_progress(state: Progress) -> None:
            nonlocal estimated, printed
            if estimated and state.total > state.done:
                duration = duration_text(state.total - state.done)
                click.echo(f"Estimated time on this machine: {duration}.")
                estimated = False
            if not in_terminal and state.phase != printed:
                click.echo(state.phase, err=True)
                printed = state.phase
            if not in_terminal and state.milestone:
                click.echo(f"  {state.note}", err=True)
                return
            note = f"{state.phase}: {state.note}" if state.note else state.phase
            bar(Progress(state.done, state.total, state.phase, note))

        yield on_progress
