"""`train-unet`: train one network."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from runtime.cli.command import Command, require, share_cores
from runtime.cli.display import counted, progress, table
from runtime.cli.options import ARTIFACTS, PHANTOM, cache_option, data_option, threads_option
from runtime.cli.signals import stopping
from train.choices import ARCHITECTURES, Device, Loss, Precision

if TYPE_CHECKING:
    from train.loop import TrainResult


@click.command(cls=Command)
@click.option(
    "--arch",
    type=click.Choice(ARCHITECTURES),
    default="scratch",
    show_default=True,
    help="The encoder: trained anew, or torchvision's ResNet34, ResNet50 or Swin-T.",
)
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@click.option(
    "--width", type=int, metavar="N", help="Channels of the first level.  [default: 64; demo: 8]"
)
@click.option(
    "--size", type=int, metavar="N", help="Height and width of the input.  [default: 256; demo: 64]"
)
@click.option(
    "--masks",
    type=click.Choice(["boxes", "segmentation"]),
    help="What the target is drawn from.  [default: boxes]",
)
@click.option("--epochs", type=int, metavar="N", help="[default: 25; demo: 16]")
@click.option("--batch-size", type=int, metavar="N", help="[default: 32; demo: 8]")
@click.option(
    "--loss",
    type=click.Choice(get_args(Loss)),
    help="Binary cross-entropy, soft Dice, or their sum.  [default: bce]",
)
@click.option(
    "--augment",
    is_flag=True,
    help="Flip, rotate, shift and relight the training images at random.",
)
@click.option(
    "--learning-rate",
    type=float,
    metavar="X",
    help="Of Adam, at the start.  [default: 0.001; demo: 0.003]",
)
@click.option(
    "--patience",
    type=int,
    metavar="N",
    help="Epochs without a lower validation loss until the learning rate falls.  [default: 3]",
)
@click.option(
    "--decay",
    type=float,
    metavar="X",
    help="What the learning rate is multiplied by then.  [default: 0.1]",
)
@click.option(
    "--encoder-weights",
    metavar="imagenet|none|FILE",
    help="For all but scratch: torchvision's download, no weights, or a .safetensors or .pth file."
    "  [default: imagenet]",
)
@click.option(
    "--freeze-encoder/--train-encoder", default=None, help="[default: frozen where it has weights]"
)
@click.option(
    "--unfreeze",
    "unfreeze_epoch",
    type=int,
    metavar="N",
    help="Train a frozen encoder too from epoch N on.  [default: never]",
)
@click.option(
    "--unfreeze-rate",
    "unfreeze_learning_rate",
    type=float,
    metavar="X",
    help="Learning rate of the encoder at that epoch.  [default: 0.00001]",
)
@click.option("--seed", type=int, metavar="N", help="[default: 0]")
@click.option("--device", type=click.Choice(get_args(Device)), help="[default: auto]")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="[default: auto, which is bf16 where a CUDA device has it]",
)
@click.option(
    "--channels-last/--channels-first",
    default=None,
    help="Layout in memory.  [default: channels last]",
)
@click.option(
    "--compile",
    is_flag=True,
    help="Compile the network first, with torch.compile: for long runs on a GPU.",
)
@threads_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the run goes.  [default: artifacts/unet-ARCH-wWIDTH, with what departs from the "
    "study's protocol behind; demo: the same in artifacts/demo]",
)
@cache_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where the run in --out was stopped, or after its last whole epoch.",
)
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
def main(
    arch: str,
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

    Ctrl-C and SIGTERM stop it after the current step, with a checkpoint for --resume (exit code 130
    or 143); a second Ctrl-C stops at once, and --resume goes on after the last whole epoch.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    require("train", "torch", "torchvision", "matplotlib", "safetensors")
    share_cores()
    from runtime.data.phantom import ensure_phantom
    from train.checkpoint import LAST
    from train.config import demo_config, study_config
    from train.epoch import Progress
    from train.loop import train_network

    changes = {name: value for name, value in settings.items() if value is not None}
    make = study_config if data else demo_config
    config = make(str(data or PHANTOM), arch, **changes)
    folder = out or ARTIFACTS / (config.name if data else Path("demo", config.name))
    if data is None:
        click.echo(
            f"Demo: the phantom set in {PHANTOM} (synthetic scans), width {config.width}, "
            f"{config.size}x{config.size}; give --data for the study."
        )
        with progress("Phantom") as bar:
            ensure_phantom(PHANTOM, on_image=bar.count)

    click.echo(f"{config.name}: {config.epochs} epochs on {config.data} -> {folder}")
    if config.compile:
        click.echo("Before the first step and the first validation the network is compiled.")
    if resume and not (folder / LAST).exists():
        click.echo(f"There is nothing in {folder} to go on after: this is a new run.")
    in_terminal = sys.stderr.isatty()
    with (
        stopping() as stop,
        progress("Decode ") as decode_bar,
        progress("Train  ") as train_bar,
    ):

        def listener(step: Progress) -> None:
            if step.phase == "decode":
                decode_bar.count(step.done, step.total)
            else:
                note = f"epoch {step.epoch}/{config.epochs}, loss {step.loss:.4f}"
                train_bar.count(step.done, step.total, note)
                if not in_terminal and step.done * config.epochs % step.total == 0:
                    click.echo(note, err=True)

        result = train_network(
            config,
            folder,
            cache=cache,
            resume=resume,
            overwrite=overwrite,
            listener=listener,
            stop=stop,
        )
    click.echo(_report(result))


def _report(result: "TrainResult") -> str:
    from train.history import best_epoch

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
            f"{result.best}",
            f"{result.folder / 'history.csv'}",
            f"{result.folder / 'curves.png'}",
        ]
    )
