"""`seg-bench measure`: accuracy and cost of files on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from bench.frontier.budget import Budget
from runtime.cli.command import Command, require
from runtime.cli.config_options import config_options
from runtime.cli.display import progress, table
from runtime.cli.options import (
    ARTIFACTS,
    MAX_SIDE,
    File,
    FiniteRange,
    Folder,
    category_option,
    data_option,
    intensity_option,
    json_option,
    masks_option,
    models_argument,
    size_option,
    split_option,
    square,
    threads_option,
    verify_option,
)
from runtime.cli.outputs import Outputs
from runtime.model.providers import CPU, Arithmetic, ProviderRequest

if TYPE_CHECKING:
    from bench.measure.result import BenchResult
    from bench.measure.settings import MeasurementSettings, Scoring
    from runtime.core.settings import MaskChoice
    from runtime.data.orientation import Size

_OUT = ARTIFACTS / "bench"
_SECONDS = FiniteRange(min=0.0, min_open=True)


@click.command(cls=Command)
@models_argument
@data_option("none, so that accuracy is only taken from --evaluation")
@split_option
@masks_option
@category_option
@click.option(
    "--score-size",
    type=click.IntRange(1, MAX_SIDE),
    callback=square,
    metavar="N",
    help="Height and width at which masks and probabilities are compared.  [default: the input "
    "size of each network]",
)
@click.option(
    "--evaluation",
    type=File,
    metavar="FILE",
    help="Take the accuracy from a file that seg-eval --json wrote for the same networks.",
)
@size_option
@click.option(
    "--batch-size",
    "batch_sizes",
    type=click.IntRange(min=2),
    multiple=True,
    default=(8,),
    show_default=True,
    metavar="N",
    help="Measure the throughput of batches of this size; can be repeated.",
)
@click.option(
    "--max-seconds",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    metavar="S",
    help="Longest time to measure latency, per file on average, even if medians are imprecise.",
)
@click.option(
    "--timeout",
    type=_SECONDS,
    default=300.0,
    show_default=True,
    metavar="S",
    help="Skip a file whose process does not answer within this time.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    help="Measure each file on this execution provider, as seg-predict takes it; can be repeated.  "
    "[default: cpu]",
)
@click.option(
    "--arithmetic",
    "arithmetics",
    type=click.Choice(get_args(Arithmetic)),
    multiple=True,
    help="Measure the providers in this number format; can be repeated.  [default: default]",
)
@config_options(Budget)
@intensity_option
@verify_option
@threads_option
@json_option("the result")
@click.option(
    "--out",
    type=Folder,
    default=_OUT,
    show_default=True,
    metavar="DIR",
    help="Folder for bench.html and bench.md, and for bench.json without --json.",
)
def measure(
    models: tuple[Path, ...],
    data: Path | None,
    evaluation: Path | None,
    json_file: Path | None,
    out: Path,
    max_latency_ms: float | None,
    max_memory_mb: float | None,
    min_iou: float | None,
    **options: Any,
) -> None:
    """Measure accuracy, latency, throughput, memory, start-up and complexity of MODELs.

    Each file runs in processes of its own, interleaved with the others. If a file fails, crashes or
    hangs, the result states the reason and the others are measured nevertheless. Ctrl-C leaves the
    results so far in a file of their own, such as bench-interrupted.json. Timings depend on the
    machine and its load: compare figures of one run only, and run nothing else meanwhile.
    """
    require("bench", "onnx", "jinja2", "matplotlib")
    from runtime.core.errors import MeasurementError, ModelError
    from runtime.core.files import ensure_writable

    for model in models:
        if not model.is_file():
            raise ModelError(f"{model}: no such file")
    if data is not None and evaluation is not None:
        raise click.UsageError("--data and --evaluation exclude each other")
    if data is None and options["score_size"] is not None:
        raise click.UsageError("--score-size needs --data")
    budget = Budget(max_latency_ms, max_memory_mb, min_iou)
    ensure_writable(out)
    result_file = json_file or out / "bench.json"
    outputs = Outputs([*models, *([evaluation] if evaluation else ())], json=result_file)
    settings = _settings(data, evaluation, outputs, **options)
    result = _measure(models, settings, budget, result_file, out)
    failed = [model.name for model in result.models if model.failure]
    if failed:
        raise MeasurementError(f"{', '.join(failed)}: could not be measured completely")


def _settings(
    data: Path | None,
    evaluation: Path | None,
    outputs: Outputs,
    *,
    split: str,
    masks: "MaskChoice",
    categories: tuple[str, ...],
    score_size: "Size | None",
    size: "Size | None",
    batch_sizes: tuple[int, ...],
    max_seconds: float,
    timeout: float,
    threads: int | None,
    providers: tuple[str, ...],
    arithmetics: "tuple[Arithmetic, ...]",
    intensity: int | None,
    verify: bool,
) -> "MeasurementSettings":
    """Return the settings, after a check that the split exists and no data file is replaced."""
    from bench.measure.accuracy import read_accuracy
    from bench.measure.settings import MeasurementSettings, Scoring
    from runtime.core.machine import available_cores
    from runtime.model.stopping_rule import StoppingRule

    scoring = None
    if data is not None:
        scoring = Scoring(str(data), split, masks, score_size, categories)
        _check_data(scoring, outputs)
    return MeasurementSettings(
        threads=threads or available_cores(),
        size=size,
        batch_sizes=tuple(dict.fromkeys(batch_sizes)),
        rule=StoppingRule(max_seconds=max_seconds),
        limit_s=timeout,
        scoring=scoring,
        providers=_requests(providers or (CPU,), arithmetics or ("default",)),
        known={} if evaluation is None else read_accuracy(evaluation),
        intensity=intensity,
        verify=verify,
    )


def _check_data(scoring: "Scoring", outputs: Outputs) -> None:
    """Read the data set, check that its split exists, and print the notes on its targets."""
    from runtime.data.coco import read_dataset
    from runtime.data.targets import target_notes

    dataset = read_dataset(scoring.data, categories=scoring.categories)
    for note in target_notes([dataset.split(scoring.split)]):
        click.echo(note)
    outputs.protect(dataset.files)


def _requests(
    providers: tuple[str, ...], arithmetics: "tuple[Arithmetic, ...]"
) -> tuple[ProviderRequest, ...]:
    """Return an available request for each pair; beside other providers, "cpu" has one row.

    Raises:
        ProviderError: a provider is not available, or does not compute in an arithmetic.
    """
    from runtime.model.provider_devices import check_available

    alone = set(providers) == {CPU}
    pairs = ((p, a if alone or p != CPU else "default") for p in providers for a in arithmetics)
    requests = tuple(ProviderRequest(p, a) for p, a in dict.fromkeys(pairs))
    for request in requests:
        check_available(request)
    return requests


def _measure(
    models: tuple[Path, ...],
    settings: "MeasurementSettings",
    budget: Budget,
    result_file: Path,
    out: Path,
) -> "BenchResult":
    """Measure, then write and print the result; an interrupted one replaces no other."""
    from bench.frontier.page import conclusions, write_pages
    from bench.measure.result import interrupted_file, write_result
    from bench.measure.run import Measurement

    with progress("Measure", seconds=True) as bar:
        measurement = Measurement(tuple(dict.fromkeys(models)), settings, bar)
        try:
            result = measurement.run()
        except KeyboardInterrupt:
            partial, place = measurement.result(), interrupted_file(result_file)
            write_result(place, partial, conclusions(partial, budget))
            click.echo(f"Measured so far: {place}", err=True)
            raise
    click.echo("Writing the pages", err=True)
    write_result(result_file, result, conclusions(result, budget))
    pages = write_pages(result, out, budget)
    click.echo(_render(result, budget))
    unscored = [model.name for model in result.models if model.engine and model.accuracy is None]
    if settings.known and unscored:
        names = ", ".join(unscored)
        click.echo(f"{names}: not in --evaluation, at this size and by this provider")
    for file in (*pages, result_file):
        click.echo(str(file))
    return result


def _render(result: "BenchResult", budget: Budget) -> str:
    from bench.frontier import tables
    from bench.frontier.recommendation import recommend

    scored = tables.scored_on(result)
    parts = [
        tables.conditions(result),
        table(*tables.frontier_table(result)),
        f"Scored on {scored}." if scored else "No accuracy was measured.",
        "Latency, throughput and start-up:\n" + table(*tables.latency_table(result)),
        "Resident memory by phase:\n" + table(*tables.memory_table(result)),
        "Stages of one prediction:\n" + table(*tables.stages_table(result)),
    ]
    if result.rankings:
        parts.append("Latency compared:\n" + table(*tables.rankings_table(result)))
    parts += tables.notes(result)
    if budget.is_given:
        recommendation = recommend(result, budget)
        parts.append(f"Recommended: {recommendation.path or 'none'}, {recommendation.reason}.")
    parts += [f"Not measured: {sentence}" for sentence in tables.failures(result)]
    return "\n\n".join(parts) + "\n"
