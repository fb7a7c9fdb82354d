"""`seg-eval`: score exported files on a split."""

from pathlib import Path
from typing import Any

import click

from runtime.cli.command import Command
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
@intensity_option
@verify_option
@provider_options
@on_error_option(", in --json and --csv too")
@threads_option
@json_option("the results")
@click.option(
    "--csv", "csv_file", type=File, metavar="FILE", help="Write a row for each image as CSV."
)
def main(
    models: tuple[Path, ...],
    data: Path | None,
    on_error: str,
    json_file: Path | None,
    csv_file: Path | None,
    **settings: Any,
) -> None:
    """Score MODELs and baselines on a split, by soft and thresholded metrics."""
    from runtime.cli.evaluation_text import evaluation_text
    from runtime.data.coco import read_dataset
    from runtime.scoring.files import evaluate_files
    from runtime.scoring.results import write_report, write_samples

    outputs = Outputs(models, json=json_file, csv=csv_file)
    dataset = read_dataset(phantom_if_none(data))
    outputs.protect(dataset.files)
    with progress() as bar:
        report = evaluate_files(
            models,
            dataset,
            **settings,
            skip_unreadable=on_error == "skip",
            on_progress=bar,
        )
    click.echo(evaluation_text(report))
    outputs.write(
        json=lambda file: write_report(file, report), csv=lambda file: write_samples(file, report)
    )
