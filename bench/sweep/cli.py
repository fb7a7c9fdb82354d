"""`seg-bench sweep`: networks of several widths and input sizes, cost beside accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.shell import encoder_weights, encoder_weights_option, work_progress
from runtime.cli.command import Command, require, share_cores
from runtime.cli.display import progress, table
from runtime.cli.options import (
    ARTIFACTS,
    PHANTOM,
    cache_option,
    data_option,
    json_option,
    threads_option,
)
from runtime.cli.signals import stopping
from train.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from bench.sweep.result import SweepResult

_SECONDS, _DEMO_SECONDS = 30.0, 3.0


@click.command(cls=Command)
@click.argument("models", metavar="[MODEL.onnx]...", nargs=-1, type=click.Path(path_type=Path))
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@click.option(
    "--arch",
    "archs",
    type=click.Choice(ARCHITECTURES),
    multiple=True,
    default=("scratch",),
    show_default=True,
    help="An encoder, as in train-unet. Repeat it.",
)
@click.option(
    "--width",
    "widths",
    type=int,
    multiple=True,
    metavar="N",
    help="Channels of the first level. Repeat it.  [default: 4, 8, 16; demo: 4, 8]",
)
@click.option(
    "--size",
    "sizes",
    type=int,
    multiple=True,
    metavar="N",
    help="Height and width of the input. Repeat it.  [default: 64, 128; demo: 32, 64]",
)
@click.option("--epochs", type=int, metavar="N", help="[default: 25; demo: 16]")
@click.option("--batch-size", type=int, metavar="N", help="Of training.  [default: 32; demo: 8]")
@encoder_weights_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--score-size",
    type=click.IntRange(1, 8192),
    metavar="N",
    help="Compare masks and probabilities of all networks at this height and width.  [default: the "
    "largest --size]",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0.0, min_open=True),
    metavar="S",
    help="Time latency no longer, a file on average, however unsure a median still is.  "
    f"[default: {_SECONDS:g}; demo: {_DEMO_SECONDS:g}]",
)
@threads_option
@json_option("the result")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where runs, files, sweep.html, sweep.md and sweep.png go, and sweep.json without --json."
    "  [default: artifacts/sweep; demo: artifacts/demo/sweep]",
)
@cache_option
def sweep(
    models: tuple[Path, ...],
    data: Path | None,
    archs: tuple[str, ...],
    widths: tuple[int, ...],
    sizes: tuple[int, ...],
    weights: tuple[str, ...],
    seed: int,
    device: Any,
    score_size: int | None,
    max_seconds: float | None,
    threads: int | None,
    json_file: Path | None,
    out: Path | None,
    cache: Path,
    **changes: int | None,
) -> None:
    """Train networks of every --arch, --width and --size, and measure them beside MODELs.

    Tells what the next width buys: soft IoU on the test split, at one size for all networks, beside
    latency, memory, multiply-accumulates and parameters, measured in one run.

    Ctrl-C and SIGTERM stop it after the current step (exit code 130 or 143), a second Ctrl-C at
    once; the same command goes on. What is trained already is not trained again; measuring begins
    anew, and what it had so far stays in the JSON file.
    """
    require(
        "export", "torch", "torchvision", "safetensors", "matplotlib", "onnx", "onnxscript",
        "jinja2",
    )  # fmt: skip
    share_cores()
    from bench.measure.settings import MeasurementSettings
    from bench.sweep.config import DEMO_SIZES, DEMO_WIDTHS, SIZES, WIDTHS, SweepConfig
    from bench.sweep.page import write_sweep_pages
    from bench.sweep.run import run_sweep
    from runtime.core.errors import MeasurementError
    from runtime.core.machine import available_cores
    from runtime.data.phantom import ensure_phantom
    from runtime.model.stopping import StoppingRule

    demo = data is None
    config = SweepConfig(
        data=str(data or PHANTOM),
        archs=archs,
        widths=widths or (DEMO_WIDTHS if demo else WIDTHS),
        sizes=sizes or (DEMO_SIZES if demo else SIZES),
        encoder_weights=encoder_weights(weights, demo=demo),
        demo=demo,
        changes={name: value for name, value in changes.items() if value is not None},
        score_size=score_size or 0,
        seed=seed,
        device=device,
        threads=threads or 0,
    )
    seconds = max_seconds or (_DEMO_SECONDS if demo else _SECONDS)
    # Batches tell nothing of what width buys that single images do not.
    settings = MeasurementSettings(
        threads=threads or available_cores(),
        batch_sizes=(),
        rule=StoppingRule(max_seconds=seconds),
    )
    if demo:
        click.echo(f"Demo: the phantom set in {PHANTOM} (synthetic scans); give --data for yours.")
        with progress("Phantom") as bar:
            ensure_phantom(PHANTOM, on_progress=bar)
    folder = out or ARTIFACTS / ("demo/sweep" if demo else "sweep")
    result_file = json_file or folder / "sweep.json"
    with stopping() as stop, work_progress("Sweep  ") as listener:
        result = run_sweep(
            config,
            tuple(dict.fromkeys(models)),
            settings,
            folder,
            cache=cache,
            result_file=result_file,
            listener=listener,
            stop=stop,
        )
    pages = write_sweep_pages(result, folder)
    click.echo(_render(result))
    for file in (*pages, result_file):
        click.echo(str(file))
    failed = [model.path for model in result.measured.models if model.failure]
    if failed:
        raise MeasurementError(f"{', '.join(failed)}: could not be measured, or not wholly")


def _render(result: "SweepResult") -> str:
    from bench.frontier import tables
    from bench.sweep.tables import sentences, sweep_table

    parts = [
        tables.conditions(result.measured),
        table(*sweep_table(result)),
        "What the next width buys:\n" + "\n".join(sentences(result)),
        *(f"Note: {warning}" for warning in result.warnings),
        *(f"Not measured: {sentence}" for sentence in tables.failures(result.measured)),
    ]
    return "\n\n".join(parts) + "\n"
