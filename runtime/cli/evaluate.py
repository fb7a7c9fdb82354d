"""`seg-eval`: score exported files on a split."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtime.cli.command import DefaultGroup
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import counted, progress
from runtime.cli.options import (
    ARTIFACTS,
    PHANTOM,
    File,
    Folder,
    category_option,
    check_scheduler,
    data_option,
    intensity_option,
    json_option,
    masks_option,
    models_argument,
    on_error_option,
    parse_shard,
    phantom_if_none,
    provider_options,
    resize_option,
    scheduler_option,
    shard_size_option,
    size_option,
    split_option,
    threads_option,
    verify_option,
)
from runtime.cli.outputs import Outputs
from runtime.core.extras import require
from runtime.core.settings import config_fields
from runtime.scoring.clinical_config import ClinicalConfig

if TYPE_CHECKING:
    from runtime.scoring.evaluation_run import EvaluationSettings
    from runtime.scoring.parts import Part
    from runtime.scoring.results import EvaluationReport

Function = TypeVar("Function", bound=Callable[..., Any])

_PARTS = ARTIFACTS / "parts"
_SHARD_SIZE = 256


def result_options(function: Function) -> Function:
    """`--json`, `--csv` and `--patients-csv`, as parameters that end in `_file`."""
    rows = "Write a row for each image as CSV."
    patients = "Write a row for each patient as CSV, where the data set states its patients."
    file: dict[str, Any] = {"type": File, "metavar": "FILE"}
    function = click.option("--patients-csv", "patients_file", help=patients, **file)(function)
    function = click.option("--csv", "csv_file", help=rows, **file)(function)
    return json_option("the results")(function)


@click.group(
    cls=DefaultGroup,
    default="score",
    subcommand_metavar="[score] MODEL.onnx... | merge PART.json...",
)
def main() -> None:
    """Score exported files on a split, at once or in shards.

    `seg-eval artifacts/*.onnx` is short for `seg-eval score artifacts/*.onnx`. See
    `seg-eval score --help` for its options.
    """


@main.command
@models_argument
@data_option(f"the phantom set in {PHANTOM}")
@split_option
@masks_option
@category_option
@size_option
@resize_option
@click.option("--batch-size", default=1, show_default=True, type=click.IntRange(min=1), metavar="N")
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="Score predictions that need no network, from the train split.",
)
@config_options(ClinicalConfig)
@intensity_option
@verify_option
@provider_options
@on_error_option(", in --json and --csv too")
@threads_option
@click.option(
    "--shard",
    callback=parse_shard,
    metavar="K/N",
    help="Score shard K of N of the images only. --json is then a part for `seg-eval merge`.",
)
@scheduler_option
@click.option(
    "--parts",
    type=Folder,
    metavar="DIR",
    help="With --scheduler: folder for finished parts, which all workers share.  "
    f"[default: {_PARTS}]",
)
@shard_size_option(_SHARD_SIZE)
@result_options
def score(
    models: tuple[Path, ...],
    data: Path | None,
    on_error: str,
    shard: tuple[int, int] | None,
    scheduler: str | None,
    parts: Path | None,
    shard_size: int | None,
    json_file: Path | None,
    csv_file: Path | None,
    patients_file: Path | None,
    **settings: Any,
) -> None:
    """Score MODELs and baselines on a split, by soft and thresholded metrics.

    Where the data set states each image's patient, scores per patient are added.
    """
    if shard:
        _check_shard_options(scheduler, json_file, csv_file, patients_file)
    check_scheduler(scheduler, parts=parts, shard_size=shard_size)
    from runtime.scoring.evaluation_run import EvaluationSettings

    clinical = _clinical_config(settings)
    skip = on_error == "skip"
    chosen = EvaluationSettings(**settings, clinical=clinical, skip_unreadable=skip)
    outputs = _outputs(models, json_file, csv_file, patients_file)
    folder = phantom_if_none(data)
    if scheduler is None:
        _score_here(models, folder, chosen, shard, outputs)
    else:
        sharding = {"parts": str(parts or _PARTS), "shard_size": shard_size or _SHARD_SIZE}
        _score_on_cluster(scheduler, models, folder, chosen, sharding, outputs)


def _check_shard_options(
    scheduler: str | None, json: Path | None, csv: Path | None, patients: Path | None
) -> None:
    """Raise UsageError unless a shard is scored here, into a part alone."""
    if scheduler is not None:
        raise click.UsageError("--shard cannot be used with --scheduler, which shards by itself")
    if csv or patients:
        option = "--csv" if csv else "--patients-csv"
        raise click.UsageError(f"{option} cannot be used with --shard; give it to `seg-eval merge`")
    if json is None:
        raise click.UsageError("--shard needs --json, the file of the part")


def _score_here(
    models: tuple[Path, ...],
    data: Path,
    settings: "EvaluationSettings",
    shard: tuple[int, int] | None,
    outputs: Outputs,
) -> None:
    """Score all images, or those of a shard, in this process."""
    from runtime.data.coco import read_dataset
    from runtime.scoring.evaluation_run import open_evaluation
    from runtime.scoring.merging import merge
    from runtime.scoring.patients import require_patients

    dataset = read_dataset(data)
    if outputs.has("patients-csv"):
        require_patients(dataset.split(settings.split, allow_missing=True))
    outputs.protect(dataset.files)
    with progress() as bar:
        run = open_evaluation(models, dataset, settings, bar)
        part = run.part(*run.shard(*(shard or (1, 1))), bar)
    if shard is None:
        _show(merge([(str(dataset.root), part)]), outputs)
    else:
        _write_part(part, outputs)


def _score_on_cluster(
    scheduler: str,
    models: tuple[Path, ...],
    data: Path,
    settings: "EvaluationSettings",
    sharding: dict[str, Any],
    outputs: Outputs,
) -> None:
    """Score all images on a Dask cluster, with one thread for each task unless more are given."""
    require("distributed", "distributed", "cryptography")
    from runtime.distributed.evaluation import EvaluationJob, evaluated

    job = EvaluationJob(
        models=tuple(map(str, models)),
        data=str(data),
        settings=replace(settings, threads=settings.threads or 1),
        **sharding,
        outputs=tuple(map(str, outputs.paths)),
        patients=outputs.has("patients-csv"),
    )
    with progress("Score") as bar, evaluated(scheduler, job, bar) as report:
        bar.close()
        _show(report, outputs)


@main.command("merge")
@click.argument("parts", metavar="PART.json...", nargs=-1, required=True, type=File)
@result_options
def merge_parts(
    parts: tuple[Path, ...],
    json_file: Path | None,
    csv_file: Path | None,
    patients_file: Path | None,
) -> None:
    """Merge the PARTs that `seg-eval --shard` wrote into the results of `seg-eval`.

    All parts must be of one evaluation, and each image must be in one of them.
    """
    from runtime.scoring.merging import merge
    from runtime.scoring.part_files import read_part

    outputs = _outputs(parts, json_file, csv_file, patients_file)
    _show(merge((str(part), read_part(part)) for part in parts), outputs)


def _outputs(
    inputs: Iterable[Path], json: Path | None, csv: Path | None, patients: Path | None
) -> Outputs:
    files = {"json": json, "csv": csv, "patients-csv": patients}
    return Outputs(inputs, **files)


def _show(report: "EvaluationReport", outputs: Outputs) -> None:
    """Print a report, and write it to the files that were asked for."""
    from runtime.cli.evaluation_text import evaluation_text
    from runtime.scoring.results import write_patients, write_report, write_samples

    click.echo(evaluation_text(report))
    writers: dict[str, Callable[[Path], None]] = {
        "json": lambda file: write_report(file, report),
        "csv": lambda file: write_samples(file, report),
        "patients-csv": lambda file: write_patients(file, report),
    }
    outputs.write(**writers)


def _write_part(part: "Part", outputs: Outputs) -> None:
    from runtime.scoring.part_files import write_part

    number = counted(part.stop - part.start, "image")
    click.echo(f"{number} of {part.images}, from image {part.start + 1} on")
    outputs.write(json=lambda file: write_part(file, part))


def _clinical_config(settings: dict[str, Any]) -> ClinicalConfig:
    """Take the settings of surfaces and lesions out of a command's settings."""
    names = [one.name for one in config_fields(ClinicalConfig)]
    given = given_settings({name: settings.pop(name) for name in names})
    for option, scores in (("tolerance", "surface"), ("smallest_lesion", "lesions")):
        if option in given and not given.get(scores):
            raise click.UsageError(f"--{option.replace('_', '-')} needs --{scores}")
    return ClinicalConfig(**given)
