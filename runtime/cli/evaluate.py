"""`seg-eval`: score exported files on a split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from runtime.cli.command import Command
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import progress
from runtime.cli.options import (
    PHANTOM,
    File,
    category_option,
    data_option,
    intensity_option,
    json_option,
    masks_option,
    models_argument,
    on_error_option,
    phantom_if_none,
    provider_options,
    size_option,
    split_option,
    threads_option,
    verify_option,
)
from runtime.cli.outputs import Outputs
from runtime.core.settings import config_fields
from runtime.scoring.clinical_config import ClinicalConfig


@click.command(cls=Command)
@models_argument
@data_option(f"the phantom set in {PHANTOM}")
@split_option
@masks_option
@category_option
@size_option
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
@json_option("the results")
@click.option(
    "--csv", "csv_file", type=File, metavar="FILE", help="Write a row for each image as CSV."
)
@click.option(
    "--patients-csv",
    "patients_file",
    type=File,
    metavar="FILE",
    help="Write a row for each patient as CSV, where the data set states its patients.",
)
def main(
    models: tuple[Path, ...],
    data: Path | None,
    on_error: str,
    json_file: Path | None,
    csv_file: Path | None,
    patients_file: Path | None,
    **settings: Any,
) -> None:
    """Score MODELs and baselines on a split, by soft and thresholded metrics.

    Where the data set states each image's patient, scores per patient are added.
    """
    from runtime.cli.evaluation_text import evaluation_text
    from runtime.data.coco import read_dataset
    from runtime.scoring.files import evaluate_files
    from runtime.scoring.patients import require_patients
    from runtime.scoring.results import write_patients, write_report, write_samples

    clinical = _clinical_config(settings)
    files = {"json": json_file, "csv": csv_file, "patients-csv": patients_file}
    outputs = Outputs(models, **files)
    dataset = read_dataset(phantom_if_none(data))
    if patients_file is not None:
        require_patients(dataset.split(settings["split"], allow_missing=True))
    outputs.protect(dataset.files)
    with progress() as bar:
        report = evaluate_files(
            models,
            dataset,
            **settings,
            clinical=clinical,
            skip_unreadable=on_error == "skip",
            on_progress=bar,
        )
    click.echo(evaluation_text(report))
    writers: dict[str, Callable[[Path], None]] = {
        "json": lambda file: write_report(file, report),
        "csv": lambda file: write_samples(file, report),
        "patients-csv": lambda file: write_patients(file, report),
    }
    outputs.write(**writers)


def _clinical_config(settings: dict[str, Any]) -> ClinicalConfig:
    """Take the settings of surfaces and lesions out of a command's settings."""
    names = [one.name for one in config_fields(ClinicalConfig)]
    given = given_settings({name: settings.pop(name) for name in names})
    for option, scores in (("tolerance", "surface"), ("smallest_lesion", "lesions")):
        if option in given and not given.get(scores):
            raise click.UsageError(f"--{option.replace('_', '-')} needs --{scores}")
    return ClinicalConfig(**given)
