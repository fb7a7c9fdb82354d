"""`seg-predict`: run an exported file on images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.anonymous import anonymous_messages, anonymous_option
from runtime.cli.command import Command
from runtime.cli.display import counted, engine_text, progress, skipped_text
from runtime.cli.options import (
    ARTIFACTS,
    File,
    FiniteRange,
    Folder,
    check_scheduler,
    intensity_option,
    model_argument,
    on_error_option,
    provider_options,
    resize_option,
    scheduler_option,
    shard_size_option,
    size_option,
    threads_option,
    verify_option,
)
from runtime.core.errors import ImageError, printable
from runtime.core.extras import require
from runtime.core.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from runtime.distributed.prediction_folder import Predictions
    from runtime.model.image_files import FoundImage
    from runtime.model.predict_files import FilePrediction, MapFormat
    from runtime.model.predictor import Predictor

_SHARD_SIZE = 64


@click.command(cls=Command)
@model_argument
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=Folder,
    default=ARTIFACTS / "predictions",
    show_default=True,
    metavar="DIR",
    help="Folder for the maps and overlays.",
)
@click.option(
    "--format",
    "map_format",
    type=click.Choice(["png", "npy"]),
    default="png",
    show_default=True,
    help="Format of the probability map: PNG with 16 bits per pixel, or NumPy float32.",
)
@size_option
@resize_option
@click.option(
    "--frame",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the image to use in a file of several: TIFF pages, frames of PNG and WebP.",
)
@click.option(
    "--volume",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the volume to use in a NIfTI file of several (four dimensions), or of the "
    "series in a DICOM folder of several.",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    metavar="T",
    help="Also write masks of the probabilities of at least T, with areas (masks.csv) and, of "
    "pictures, run-length encodings (masks.json).  [default: no masks]",
)
@intensity_option
@on_error_option("")
@anonymous_option("in messages, tables and results, whose names change too")
@click.option(
    "--names",
    "names_file",
    type=File,
    metavar="FILE",
    help="With --anonymous-log, write which image each pseudonym stands for, as CSV.",
)
@verify_option
@provider_options
@threads_option
@scheduler_option
@shard_size_option(_SHARD_SIZE)
def main(
    model: Path,
    images: tuple[str, ...],
    out: Path,
    map_format: "MapFormat",
    frame: int | None,
    volume: int | None,
    threshold: float | None,
    on_error: str,
    anonymous: bool,
    names_file: Path | None,
    scheduler: str | None,
    shard_size: int | None,
    **settings: Any,
) -> None:
    """Write a probability map and an overlay of each IMAGE: a file, a folder or a glob.

    Both have the size of the image. In the overlay, red grows with the probability, and a yellow
    line encloses pixels of at least 0.5. In folders and their subfolders, regular files that end in
    .jpg, .jpeg, .png, .bmp, .tif, .tiff, .webp, .nii or .nii.gz are used. A folder that directly
    holds DICOM files is one series. The results of a volume are on its own grid and in its format,
    with an overlay of several slices. Images of equal names keep the folders that tell them apart.
    """
    check_scheduler(scheduler, shard_size=shard_size)
    from runtime.data.volumes.formats import format_of
    from runtime.model.image_files import find_images, with_pseudonyms, write_names
    from runtime.model.predict_files import predict_files
    from runtime.model.predictor import Predictor, concurrency_for

    if names_file is not None and not anonymous:
        raise click.UsageError("--names needs --anonymous-log")
    if scheduler is not None and anonymous:
        raise click.UsageError("--anonymous-log does not reach the logs of a --scheduler's workers")
    names = Pseudonyms(images) if anonymous else None
    how: dict[str, Any] = {
        "map_format": map_format,
        "frame": frame,
        "volume": volume,
        "threshold": threshold,
    }
    skip = on_error == "skip"
    if scheduler is not None:
        settings |= how | {"skip_unreadable": skip}
        _predict_on_cluster(scheduler, model, images, out, shard_size or _SHARD_SIZE, settings)
        return
    with anonymous_messages(names):
        files = find_images(images)
        files = files if names is None else with_pseudonyms(files, names)
        many = len(files) > 1 or any(format_of(file.path) for file in files)
        at_once = concurrency_for(settings["threads"]) if many else 1
        predictor = Predictor(model, **settings, concurrency=at_once)
        _echo_notes(predictor, files)
        skipped: list[str] = []
        add = (lambda error: skipped.append(str(error))) if skip else None
        with progress("Predict") as bar:
            written = predict_files(predictor, files, out, **how, on_progress=bar, on_error=add)
        reasons = skipped if names is None else list(map(names.message, skipped))
        _finish(predictor, written, reasons, threshold, out)
    if names_file is not None:
        write_names(names_file, files)


def _predict_on_cluster(
    scheduler: str,
    model: Path,
    patterns: tuple[str, ...],
    out: Path,
    shard_size: int,
    settings: dict[str, Any],
) -> None:
    """Predict on a Dask cluster, with one thread for each task unless more are given."""
    require("distributed", "distributed", "cryptography")
    from runtime.distributed.prediction import PredictionJob, listed, predict_on_cluster
    from runtime.distributed.prediction_folder import Predictions

    job = PredictionJob(str(model), str(out), **settings | {"threads": settings["threads"] or 1})
    predictor = job.open()
    with listed(job, patterns, shard_size) as folder:
        _echo_notes(predictor, folder.all_images())
        with progress("Predict") as bar:
            predict_on_cluster(scheduler, job, folder, bar)
        found = Predictions(folder)
        _finish(predictor, found, found.skipped, job.threshold, out)


def _echo_notes(predictor: "Predictor", files: "Iterable[FoundImage]") -> None:
    """Print what computes, and how volumes become images."""
    from runtime.model.predict_files import volume_note

    computed = f"computed by {engine_text(predictor.engine)}"
    volumes = volume_note(predictor, (file.path for file in files))
    for note in (predictor.choice, computed, volumes):
        if note is not None:
            click.echo(f"{predictor.file.path}: {note}")


def _finish(
    predictor: "Predictor",
    written: "Sequence[FilePrediction] | Predictions",
    skipped: Sequence[str],
    threshold: float | None,
    out: Path,
) -> None:
    """Write the tables of masks, and print the results. Raises ImageError where there are none."""
    from runtime.model.mask_tables import write_mask_coco, write_mask_table

    if not written:
        raise ImageError(f"none of the images can be read; the first: {skipped[0]}")
    if threshold is not None:
        write_mask_table(out / "masks.csv", written)
        write_mask_coco(out / "masks.json", written)
    for each in written:
        click.echo(_line(each, 0.5 if threshold is None else threshold))
    if skipped:
        click.echo(skipped_text(skipped))
    number = f", {len(skipped)} skipped" if skipped else ""
    kinds = Counter(prediction.kind for prediction in written)
    text = ", ".join(counted(kinds[kind], kind) for kind in sorted(kinds))
    click.echo(f"{text}{number}, maps and overlays in {out}")
    note = predictor.framing.stretch_note(prediction.size for prediction in written)
    if note is not None:
        click.echo(note)


def _line(prediction: "FilePrediction", threshold: float) -> str:
    return (
        f"{printable(prediction.image)}: highest probability {prediction.highest:.3f}, "
        f"{prediction.foreground_share:.2%} of the {_elements(prediction)} at {threshold:g} or more"
        f" -> {printable(prediction.overlay)}"
    )


def _elements(prediction: "FilePrediction") -> str:
    return "pixels" if prediction.kind == "image" else "voxels"
