"""`seg-bench sweep`: networks of several widths and input sizes, cost beside accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.sweep.config import DEMO_GRID, SCALE, SweepConfig
from bench.training_options import (
    echo_target_notes,
    encoder_weights,
    encoder_weights_option,
    ensure_data,
    require_scheduler,
    schedule_progress,
)
from runtime.cli.command import Command, require, share_cores
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import table
from runtime.cli.options import (
    ARTIFACTS,
    PHANTOM,
    File,
    FiniteRange,
    Folder,
    cache_option,
    data_option,
    json_option,
    scheduler_option,
)
from runtime.cli.signals import stopping
from train.config import DEMO, TrainConfig

if TYPE_CHECKING:
    from bench.measure.settings import MeasurementSettings
    from bench.sweep.result import SweepResult

_SECONDS, _DEMO_SECONDS = 30.0, 3.0
_MODULES = ("torch", "torchvision", "safetensors", "matplotlib", "onnx", "onnxscript", "jinja2")


@click.command(cls=Command)
@click.argument("models", metavar="[MODEL.onnx]...", nargs=-1, type=File)
@data_option("the phantom set in artifacts/phantom, with the demo's small settings")
@config_options(SweepConfig, without=["score_size"], presets={"demo": DEMO_GRID})
@config_options(TrainConfig, only=SCALE, presets={"demo": DEMO})
@encoder_weights_option
@config_options(TrainConfig, only=["seed", "device", "threads", "intensity"])
@config_options(SweepConfig, only=["score_size"])
@click.option(
    "--max-seconds",
    type=FiniteRange(min=0.0, min_open=True),
    metavar="S",
    help="Limit of the latency measurement, per file on average.  "
    f"[default: {_SECONDS:g}; demo: {_DEMO_SECONDS:g}]",
)
@json_option("the result")
@click.option(
    "--out",
    type=Folder,
    metavar="DIR",
    help="Folder of the runs, the files, sweep.html, sweep.md and sweep.png; without --json also "
    "of sweep.json.  [default: artifacts/sweep; demo: artifacts/demo/sweep]",
)
@cache_option
@scheduler_option
def sweep(
    models: tuple[Path, ...],
    data: Path | None,
    weights: tuple[str, ...],
    max_seconds: float | None,
    json_file: Path | None,
    out: Path | None,
    cache: Path,
    scheduler: str | None,
    **settings: Any,
) -> None:
    """Train networks of every --arch, --width and --size, and measure them together with MODELs.

    The result states the gain in soft IoU and the cost of each next width. All networks are
    measured in one run, and scored on the test split at one size.

    Ctrl-C and SIGTERM stop it after the current step (exit code 130 or 143), a second Ctrl-C stops
    at once. The same command resumes it: finished networks are not trained again. The measurement
    starts anew; the partial one is in a file of its own, such as sweep-interrupted.json.
    """
    require("export", *_MODULES)
    require_scheduler(scheduler, settings["threads"])
    share_cores()
    config = _config(data, weights, given_settings(settings))
    ensure_data(data)
    dataset = echo_target_notes(config.networks[0])
    # It takes seconds: what is refused was refused before.
    click.echo("Loading PyTorch", err=True)
    from bench.sweep.page import write_sweep_pages
    from bench.sweep.run import run_sweep

    folder = out or ARTIFACTS / ("demo/sweep" if config.demo else "sweep")
    result_file = json_file or folder / "sweep.json"
    measuring = _measurement(config, max_seconds)
    files = tuple(dict.fromkeys(models))
    to: dict[str, Any] = {
        "folder": folder,
        "cache": cache,
        "result_file": result_file,
        "dataset": dataset,
        "scheduler": scheduler,
    }
    with (
        stopping() as stop,
        schedule_progress("Sweep  ", estimated=scheduler is None) as on_progress,
    ):
        result = run_sweep(config, files, measuring, **to, on_progress=on_progress, stop=stop)
    _show(result, [*write_sweep_pages(result, folder), result_file])


def _config(data: Path | None, weights: tuple[str, ...], given: dict[str, Any]) -> SweepConfig:
    demo = data is None
    return SweepConfig(
        data=str(data or PHANTOM),
        encoder_weights=encoder_weights(weights),
        demo=demo,
        changes={name: given.pop(name) for name in SCALE if name in given},
        **{**(DEMO_GRID if demo else {}), **given},
    )


def _measurement(config: SweepConfig, max_seconds: float | None) -> "MeasurementSettings":
    """Return the settings of the measurement: single images only, which show what width costs."""
    from bench.measure.settings import MeasurementSettings
    from runtime.core.machine import available_cores
    from runtime.model.stopping_rule import StoppingRule

    seconds = max_seconds or (_DEMO_SECONDS if config.demo else _SECONDS)
    return MeasurementSettings(
        threads=config.threads or available_cores(),
        batch_sizes=(),
        rule=StoppingRule(max_seconds=seconds),
        intensity=config.intensity,
    )


def _show(result: "SweepResult", files: list[Path]) -> None:
    """Print the result and the written files.

    Raises:
        MeasurementError: a file could not be measured.
    """
    from runtime.core.errors import MeasurementError

    click.echo(_render(result))
    for file in files:
        click.echo(str(file))
    failed = [model.path for model in result.measured.models if model.failure]
    if failed:
        raise MeasurementError(f"{', '.join(failed)}: the measurement failed or is incomplete")


def _render(result: "SweepResult") -> str:
    from bench.frontier import tables
    from bench.sweep.tables import sentences, sweep_table

    parts = [
        tables.conditions(result.measured),
        table(*sweep_table(result)),
        "The gain and the cost of each next width:\n" + "\n".join(sentences(result)),
        *(f"Note: {warning}" for warning in result.warnings),
        *(f"Not measured: {sentence}" for sentence in tables.failures(result.measured)),
    ]
    return "\n\n".join(parts) + "\n"
