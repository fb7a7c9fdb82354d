"""`train-unet`: train one network."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.command import Command, require, share_cores
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import counted, progress, table
from runtime.cli.options import ARTIFACTS, PHANTOM, cache_option, data_option
from runtime.cli.signals import stopping
from runtime.core.progress import Progress, ProgressCallback
from train.config import DEMO, TrainConfig, demo_config, study_config

if TYPE_CHECKING:
    from runtime.data.coco import Dataset
    from train.run import TrainResult


@click.command(cls=Command)
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@config_options(TrainConfig, presets={"demo": DEMO})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the run.  [default: artifacts/unet-ARCH-wWIDTH, followed by departures from "
    "the study's protocol and the name of the data set's folder; demo: the same without the data "
    "set in artifacts/demo]",
)
@cache_option
@click.option("--resume", is_flag=True, help="Continue where the run in --out was stopped.")
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
def main(
    data: Path | None,
    out: Path | None,
    cache: Path,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Train a UNet.

    With --data the defaults are the study's protocol. Without it, this is a demo on synthetic
    scans that ends within minutes.

    Ctrl-C and SIGTERM stop the run after the current step, with a checkpoint for --resume (exit
    code 130 or 143). A second Ctrl-C stops at once; --resume then continues after the last whole
    epoch.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    require("train", "torch", "torchvision", "matplotlib", "safetensors")
    share_cores()
    config = _config(data, given_settings(settings))
    folder = out or _default_folder(config, data)
    if data is None:
        _make_phantom(config)
    dataset = _announce(config, folder, resume=resume, overwrite=overwrite)
    # It takes seconds: what is refused was refused before.
    click.echo("Loading PyTorch", err=True)
    from train.run import train_network

    with stopping() as stop, _progress_bars() as on_progress:
        result = train_network(
            config,
            folder,
            cache=cache,
            dataset=dataset,
            resume=resume,
            overwrite=overwrite,
            on_progress=on_progress,
            stop=stop,
        )
    click.echo(_report(result))


def _config(data: Path | None, given: dict[str, Any]) -> TrainConfig:
    """Return the study's settings with a data set, else the demo's, changed by those given."""
    make = study_config if data else demo_config
    return make(str(data or PHANTOM), **{"arch": "scratch", **given})


def _default_folder(config: TrainConfig, data: Path | None) -> Path:
    if data is None:
        return ARTIFACTS / "demo" / config.name
    name = re.sub(r"[^\w.-]+", "-", data.resolve().name).strip("-.")
    return ARTIFACTS / f"{config.name}-{name}"


def _make_phantom(config: TrainConfig) -> None:
    from runtime.data.phantom import ensure_phantom

    click.echo(
        f"Demo: the phantom set in {PHANTOM} (synthetic scans), width {config.width}, "
        f"{config.size}x{config.size}; give --data for the study."
    )
    with progress("Phantom") as bar:
        ensure_phantom(PHANTOM, on_progress=bar)


def _announce(config: TrainConfig, folder: Path, *, resume: bool, overwrite: bool) -> "Dataset":
    """Check folder and data, print what is about to be trained, and return its data set."""
    from train.run_folder import LAST, ensure_free
    from train.targets import read_training_splits

    data = read_training_splits(config)
    ensure_free(folder, resume=resume, overwrite=overwrite)
    epochs = counted(config.epochs, "epoch")
    click.echo(f"{config.name}: {epochs} on {config.data} -> {folder}")
    if config.compile:
        click.echo("The network is compiled before the first step and the first validation.")
    if resume and not (folder / LAST).exists():
        click.echo(f"{folder} has no run to resume: this is a new one.")
    for note in data.notes:
        click.echo(note)
    return data.dataset


@contextmanager
def _progress_bars() -> Iterator[ProgressCallback]:
    """Yield a callback that draws a bar for each phase.

    Where standard error is not a terminal, it writes a line at the end of each epoch.
    """
    in_terminal = sys.stderr.isatty()
    with progress("Decode ") as decode_bar, progress("Train  ") as train_bar:

        def on_progress(step: Progress) -> None:
            if step.phase == "decode":
                decode_bar(step)
                return
            if step.milestone and not in_terminal:
                click.echo(step.note, err=True)
                return
            train_bar(replace(step, milestone=False))

        yield on_progress


def _report(result: "TrainResult") -> str:
    from train.history import CURVES, HISTORY, best_epoch

    best = best_epoch(result.history)
    header = ("epoch", "rate", "train loss", "train IoU", "valid loss", "valid IoU", "images/s")
    rows = [
        (
            row.epoch,
            f"{row.learning_rate:g}",
            row.train_loss,
            row.train_iou,
            row.valid_loss,
            row.valid_iou,
            round(row.images_per_s),
        )
        for row in result.history
    ]
    seconds = sum(row.seconds for row in result.history)
    return "\n".join(
        [
            table(header, rows),
            f"{result.config.name}: {result.parameters:,} parameters, "
            f"{result.trained_parameters:,} of them trained, "
            f"{counted(len(result.history), 'epoch')} in {seconds:.0f} s; lowest validation loss "
            f"{best.valid_loss:.4f} in epoch {best.epoch} (soft IoU {best.valid_iou:.4f}).",
            str(result.best),
            str(result.folder / HISTORY),
            str(result.folder / CURVES),
        ]
    )
