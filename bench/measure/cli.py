"""`seg-bench measure`: the cost of files on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command, require
from runtime.cli.display import progress, table
from runtime.cli.options import ARTIFACTS, data_option, json_option, threads_option

if TYPE_CHECKING:
    from bench.frontier.budget import Budget
    from bench.measure.result import BenchResult
    from runtime.data.samples import MaskKind

_OUT = ARTIFACTS / "bench"


@click.command(cls=Command)
@click.argument(
    "models", metavar="MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@data_option("none, and no accuracy but that of --evaluation")
@click.option("--split", "split_name", default="test", show_default=True, metavar="NAME")
@click.option(
    "--masks",
    type=click.Choice(["boxes", "segmentation"]),
    default="boxes",
    show_default=True,
    help="What the target is drawn from.",
)
@click.option(
    "--score-size",
    type=click.IntRange(1, 8192),
    metavar="N",
    help="Compare masks and probabilities at this height and width.  [default: each network's "
    "input]",
)
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the accuracy from what seg-eval --json wrote of the same networks.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Height and width of the networks' input.  [default: what each file states]",
)
@click.option(
    "--batch-size",
    "batch_sizes",
    type=click.IntRange(min=2),
    multiple=True,
    default=(8,),
    show_default=True,
    metavar="N",
    help="Measure the throughput of batches too. Repeat it.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0.0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Time latency no longer, a file on average, however unsure a median still is.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Give a file up that does not answer for so long.",
)
@click.option("--max-latency-ms", type=float, metavar="MS", help="Recommend a file: its p90.")
@click.option("--max-memory-mb", type=float, metavar="MB", help="Recommend a file: its peak.")
@click.option("--min-iou", type=float, metavar="IOU", help="Recommend a file: its soft IoU.")
@threads_option
@json_option("the result")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=_OUT,
    show_default=True,
    metavar="DIR",
    help="Where bench.html and bench.md go, and bench.json without --json.",
)
def measure(
    models: tuple[Path, ...],
    data: Path | None,
    split_name: str,
    masks: "MaskKind",
    score_size: int | None,
    evaluation: Path | None,
    size: int | None,
    batch_sizes: tuple[int, ...],
    max_seconds: float,
    timeout: float,
    threads: int | None,
    json_file: Path | None,
    out: Path,
    **limits: float | None,
) -> None:
    """Measure MODELs: latency, throughput, memory, start-up and complexity, beside accuracy.

    Each file runs in processes of its own, in turn with the others. A file that fails, crashes or
    hangs is named with the reason, and the others are measured. Ctrl-C leaves what has been
    measured in the JSON file. Timings depend on the machine and on what else it does: only compare
    what one run has measured, and let it run alone.
    """
    require("bench", "onnx", "jinja2", "matplotlib")
    from bench.frontier.budget import Budget
    from bench.frontier.page import conclusions, write_pages
    from bench.measure.accuracy import read_accuracy
    from bench.measure.result import write_result
    from bench.measure.run import Measurement, Scoring, Settings
    from runtime.core.errors import MeasurementError
    from runtime.core.files import ensure_apart, ensure_replaceable, ensure_writable
    from runtime.core.machine import available_cores
    from runtime.data.coco import read_dataset
    from runtime.model.stopping import StoppingRule

    inputs = [*models, *([evaluation] if evaluation else ())]
    if data is not None and evaluation is not None:
        raise click.UsageError("--data and --evaluation exclude each other")
    if data is None and score_size is not None:
        raise click.UsageError("--score-size needs --data")
    budget = Budget(**limits)
    result_file = json_file or out / "bench.json"
    ensure_writable(out)
    ensure_apart([result_file], inputs)
    scoring = None
    if data is not None:
        dataset = read_dataset(data)
        dataset.split(split_name)  # else the files would be measured for nothing
        ensure_apart([result_file], dataset.files)
        side = None if score_size is None else (score_size, score_size)
        scoring = Scoring(str(data), split_name, masks, side)
    ensure_replaceable(result_file)
    settings = Settings(
        threads=threads or available_cores(),
        size=None if size is None else (size, size),
        batch_sizes=tuple(dict.fromkeys(batch_sizes)),
        rule=StoppingRule(max_seconds=max_seconds),
        limit_s=timeout,
        scoring=scoring,
        known={} if evaluation is None else read_accuracy(evaluation),
    )
    with progress("Measure") as bar:

        def listener(label: str, done: int, total: int) -> None:
            bar.count(done, total, label)

        measurement = Measurement(tuple(dict.fromkeys(models)), settings, listener)
        try:
            result = measurement.run()
        except KeyboardInterrupt:
            result = measurement.result()
            write_result(result_file, result, conclusions(result, budget))
            write_pages(result, out, budget)  # else those of an earlier run would stand beside it
            raise
    write_result(result_file, result, conclusions(result, budget))
    pages = write_pages(result, out, budget)
    click.echo(_render(result, budget))
    for file in (*pages, result_file):
        click.echo(str(file))
    failed = [model.path for model in result.models if model.failure]
    if failed:
        raise MeasurementError(f"{', '.join(failed)}: could not be measured, or not wholly")


def _render(result: "BenchResult", budget: "Budget") -> str:
    from bench.frontier import tables
    from bench.frontier.budget import recommend

    parts = [
        tables.conditions(result),
        table(*tables.frontier_table(result)),
        "One image at a time, batches, and start-up:\n" + table(*tables.latency_table(result)),
        "Resident memory by phase:\n" + table(*tables.memory_table(result)),
        "Stages of one prediction:\n" + table(*tables.stages_table(result)),
    ]
    if result.rankings:
        parts.append("Latency compared:\n" + table(*tables.rankings_table(result)))
    if budget.is_given:
        found = recommend(result, budget)
        parts.append(f"Recommended: {found.path or 'none'}, {found.reason}.")
    parts += [f"Not measured: {sentence}" for sentence in tables.failures(result)]
    return "\n\n".join(parts) + "\n"
