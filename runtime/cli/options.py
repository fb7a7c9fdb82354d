"""Options that several commands share, and the folders that they default to."""

import math
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import progress
from runtime.core.machine import MAX_THREADS
from runtime.core.settings import CATEGORIES_HELP, MASKS_HELP, RESIZE_HELP, Resize, config_fields
from runtime.model.providers import AUTO, ProviderRequest

Function = TypeVar("Function", bound=Callable[..., Any])

ARTIFACTS = Path("artifacts")
PHANTOM = ARTIFACTS / "phantom"
CACHE = ARTIFACTS / "cache"

MAX_SIDE = 8192
"""As `runtime.data.resizing.MAX_SIDE`, which would need numpy here."""

Folder = File = click.Path(path_type=Path)


class FiniteRange(click.FloatRange):
    """A `click.FloatRange` without NaN, which passes every bound, and without infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number of a text; anything else is a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def parse_shard(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Return the (K, N) of an option K/N, with K from 1 to N."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise click.BadParameter(f"expected K/N with K from 1 to N, found {value!r}")
    return number, count


def model_argument(function: Function) -> Function:
    """`MODEL.onnx`, as the parameter `model`."""
    return click.argument("model", metavar="MODEL.onnx", type=File)(function)


def models_argument(function: Function) -> Function:
    """`MODEL.onnx...`, as the parameter `models`."""
    return click.argument("models", metavar="MODEL.onnx...", nargs=-1, required=True, type=File)(
        function
    )


def data_option(default: str) -> Callable[[Function], Function]:
    """`--data DIR`, whose help names the default."""
    return click.option(
        "--data",
        type=Folder,
        metavar="DIR",
        help=f"Folder of a COCO data set.  [default: {default}]",
    )


def phantom_if_none(data: Path | None) -> Path:
    """Return the data set's folder; without `--data`, make the phantom set and say so."""
    if data is not None:
        return data
    from runtime.data.phantom import ensure_phantom

    click.echo(f"No --data given: using the phantom set in {PHANTOM} (synthetic scans).")
    with progress("Phantom") as bar:
        return ensure_phantom(PHANTOM, on_progress=bar)


def split_option(function: Function) -> Function:
    """`--split NAME`."""
    return click.option(
        "--split",
        default="test",
        show_default=True,
        metavar="NAME",
        help="The split to score on.",
    )(function)


def masks_option(function: Function) -> Function:
    """`--masks auto|boxes|segmentation`."""
    return click.option(
        "--masks",
        type=click.Choice(["auto", "boxes", "segmentation"]),
        default="auto",
        show_default=True,
        help=MASKS_HELP,
    )(function)


def category_option(function: Function) -> Function:
    """`--category NAME`, as the parameter `categories`, a tuple."""
    return click.option(
        "--category", "categories", multiple=True, metavar="NAME", help=CATEGORIES_HELP
    )(function)


def square(
    context: click.Context, option: click.Parameter, side: int | None
) -> tuple[int, int] | None:
    """Return the (height, width) of an option that gives both as one number."""
    return None if side is None else (side, side)


def size_option(function: Function) -> Function:
    """`--size N`: height and width of a network's input, as the parameter `size`, a pair."""
    return click.option(
        "--size",
        type=click.IntRange(1, MAX_SIDE),
        callback=square,
        metavar="N",
        help="Height and width of the network's input.  [default: as stated in each file]",
    )(function)


def resize_option(function: Function) -> Function:
    """`--resize stretch|fit|tile`."""
    return click.option(
        "--resize",
        type=click.Choice(get_args(Resize)),
        help=f"{RESIZE_HELP}  [default: as each network was trained]",
    )(function)


def intensity_option(function: Function) -> Function:
    """`--intensity LEVEL`: the white level of 16-bit images."""
    return click.option(
        "--intensity",
        type=click.IntRange(1, 65535),
        metavar="LEVEL",
        help="Level of 16-bit images that is white, such as 4095 for 12 bits.  [default: as a "
        "network was trained, or what each image states, or 65535]",
    )(function)


def verify_option(function: Function) -> Function:
    """`--verify/--no-verify`."""
    return click.option(
        "--verify/--no-verify",
        default=True,
        show_default=True,
        help="Refuse a file whose graph or weights changed since its export.",
    )(function)


def threads_option(function: Function) -> Function:
    """`--threads N`."""
    return click.option(
        "--threads",
        type=click.IntRange(1, MAX_THREADS),
        metavar="N",
        help="Number of threads.  [default: the cores this process may use]",
    )(function)


def cache_option(function: Function) -> Function:
    """`--cache DIR`."""
    return click.option(
        "--cache",
        type=Folder,
        default=CACHE,
        show_default=True,
        metavar="DIR",
        help="Folder of the cache of decoded images.",
    )(function)


def on_error_option(skipped: str) -> Callable[[Function], Function]:
    """`--on-error skip|stop`; `skipped` ends the sentence on skipped images."""
    return click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="An unreadable image stops the command (exit code 2), or is skipped and "
        f"named{skipped}. With skip, the exit code is 0 if at least one image is readable.",
    )


def json_option(content: str) -> Callable[[Function], Function]:
    """`--json FILE`, as the parameter `json_file`."""
    return click.option(
        "--json",
        "json_file",
        type=File,
        metavar="FILE",
        help=f"Write {content} as JSON.",
    )


def provider_options(function: Function) -> Callable[..., Any]:
    """The options of a `ProviderRequest`, as the parameter `provider`."""
    names = [one.name for one in config_fields(ProviderRequest)]

    @wraps(function)
    def command(**given: Any) -> Any:
        request = ProviderRequest(**given_settings({name: given.pop(name) for name in names}))
        if request.provider == AUTO:  # which is silent for some seconds, at the first time
            click.echo("Choosing a provider", err=True)
        return function(provider=request, **given)

    return config_options(ProviderRequest)(command)


def scheduler_option(function: Function) -> Function:
    """`--scheduler`."""
    return click.option(
        "--scheduler",
        metavar="local:N|ADDRESS|FILE",
        help="Work on a Dask cluster: N processes of this machine, or the scheduler at an address "
        "(tcp://HOST:PORT) or of a scheduler file. The same command goes on where an interrupted "
        "one ended.",
    )(function)


def shard_size_option(default: int) -> Callable[[Function], Function]:
    """`--shard-size N`, whose help names the default."""
    return click.option(
        "--shard-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --scheduler: images of a task, which has one thread unless --threads are "
        f"given.  [default: {default}]",
    )


def check_scheduler(scheduler: str | None, **options: object) -> None:
    """Find out at once whether a scheduler can be reached.

    Args:
        options: those that only --scheduler uses, by name; None where they are not given.

    Raises:
        UsageError: one of them is given without a scheduler.
        ConfigError: no scheduler is there.
        DataError: the scheduler's file cannot be read.
    """
    from runtime.distributed.address import ensure_reachable

    if scheduler is not None:
        ensure_reachable(scheduler)
        return
    for name, value in options.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --scheduler")
