"""`seg-eval`: score exported files on a split."""

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command
from runtime.cli.display import counted, progress, skipped_text, table
from runtime.cli.options import PHANTOM, data_option, json_option, on_error_option, threads_option

if TYPE_CHECKING:
    from runtime.data.coco import Split
    from runtime.data.samples import MaskKind
    from runtime.scoring.comparison import Comparison
    from runtime.scoring.evaluation import Evaluation
    from runtime.scoring.results import EvaluationReport


@click.command(cls=Command)
@click.argument(
    "models", metavar="MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@data_option("the phantom set in artifacts/phantom")
@click.option("--split", "split_name", default="test", show_default=True, metavar="NAME")
@click.option(
    "--masks",
    type=click.Choice(["boxes", "segmentation"]),
    default="boxes",
    show_default=True,
    help="What the target is drawn from.",
)
@click.option(
    "--size",
    type=int,
    metavar="N",
    help="Height and width of the networks' input.  [default: what each file states]",
)
@click.option("--batch-size", default=1, show_default=True, type=click.IntRange(min=1), metavar="N")
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="Score predictions that need no network, from the train split.",
)
@on_error_option(", in --json and --csv too")
@threads_option
@json_option("the results")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a row for each image as CSV.",
)
def main(
    models: tuple[Path, ...],
    data: Path | None,
    split_name: str,
    masks: "MaskKind",
    size: int | None,
    batch_size: int,
    baselines: bool,
    on_error: str,
    threads: int | None,
    json_file: Path | None,
    csv_file: Path | None,
) -> None:
    """Score MODELs on a split by soft and thresholded metrics, beside baselines."""
    from runtime.core.errors import DataError
    from runtime.core.files import ensure_apart, ensure_replaceable
    from runtime.data.coco import read_dataset
    from runtime.data.phantom import ensure_phantom
    from runtime.data.readable import Skipped, readable_part
    from runtime.model.predictor import Predictor, concurrency_for
    from runtime.scoring.baselines import evaluate_baselines
    from runtime.scoring.comparison import Bootstrap, compare
    from runtime.scoring.evaluation import evaluate
    from runtime.scoring.provenance import foreign_training
    from runtime.scoring.results import EvaluationReport, write_report, write_samples

    outputs = [file for file in (json_file, csv_file) if file is not None]
    ensure_apart(outputs, models)
    if len(set(outputs)) < len(outputs):
        raise click.UsageError("--json and --csv need two files")
    for file in outputs:
        ensure_replaceable(file)
    if data is None:
        click.echo(f"No --data given: the phantom set in {PHANTOM} (synthetic scans).")
        with progress("Phantom") as bar:
            ensure_phantom(PHANTOM, on_image=bar.count)
    dataset = read_dataset(data or PHANTOM)
    ensure_apart(outputs, dataset.files)
    skip = on_error == "skip"
    split = dataset.split(split_name, missing=skip)
    side = (size, size) if size else None
    at_once = concurrency_for(threads)
    predictors = [
        Predictor(m, size=side, threads=threads, batch_size=batch_size, concurrency=at_once)
        for m in models
    ]
    train = (
        dataset.split("train", missing=skip) if baselines and "train" in dataset.splits else None
    )
    skipped: tuple[Skipped, ...] = ()
    if skip:
        with progress("Read") as bar:
            split, skipped = readable_part(
                split, predictors[0].size, masks=masks, on_image=bar.count
            )
        if train is not None:
            with progress("Read train") as bar:
                train, others = readable_part(
                    train, predictors[0].size, masks=masks, on_image=bar.count
                )
            skipped += others if split_name != "train" else ()
    scored = []
    for predictor in predictors:
        with progress(predictor.file.path.stem) as bar:
            evaluation = evaluate(predictor, split, masks=masks, on_image=bar.count)
        scored.append((predictor.file, evaluation))
    known: tuple[Evaluation, ...] = ()
    if train is not None:
        for at in dict.fromkeys(predictor.size for predictor in predictors):
            known += evaluate_baselines(train, split, at, masks=masks)
    groups = [sample.group for sample in split.samples if sample.group is not None]
    known_groups = groups if len(groups) == len(split.samples) else None
    bootstrap = Bootstrap(len(split.samples), known_groups)
    pairs = combinations([evaluation for _, evaluation in scored], 2)
    compared = tuple(compare(one, other, bootstrap) for one, other in pairs)
    try:
        warnings = foreign_training([file for file, _ in scored], dataset)
    except DataError as error:
        if not skip:
            raise
        warnings = (f"Whether these are the images trained on cannot be told: {error}",)
    warnings = (*_defects(split), *warnings)
    report = EvaluationReport(
        str(dataset.root), split_name, masks, tuple(scored), known, compared, warnings, skipped
    )
    click.echo(_render(report))
    if json_file is not None:
        write_report(json_file, report)
    if csv_file is not None:
        write_samples(csv_file, report)
    for file in outputs:
        click.echo(str(file))


def _defects(split: "Split") -> tuple[str, ...]:
    found = [defect for defect in split.defects if defect.action in ("left out", "clipped")]
    if not found:
        return ()
    number = counted(len(found), "annotation")
    return (
        f"{number} of {split.annotation_file} left out of the masks, or clipped; the first: "
        f"{found[0]}; seg-data check shows them all.",
    )


def _render(report: "EvaluationReport") -> str:
    images = f"{len(report.models[0][1].samples)} images"
    left_out = [image for image in report.skipped if image.split == report.split]
    if left_out:
        images += f" of {len(report.models[0][1].samples) + len(left_out)}, {len(left_out)} skipped"
    intro = f"{report.data}, split {report.split}: {images}, masks from {report.masks}"
    rows = [(file.path.name, evaluation) for file, evaluation in report.models]
    baselines = [(baseline.name, baseline) for baseline in report.baselines]
    several = len({e.size for _, e in rows}) > 1
    baselines = [(f"{n}, {e.size[0]}x{e.size[1]}" if several else n, e) for n, e in baselines]
    parts = [
        intro,
        "Soft metrics, mean over images (the study's), pooled over all pixels, and at 0.5:\n"
        + _scores(rows + baselines),
        "Soft metrics over images, and the same at 0.5:\n" + _distributions(rows),
        *_differences(report.comparisons),
        *(f"Note: {warning}" for warning in report.warnings),
        *([skipped_text([image.reason for image in report.skipped])] if report.skipped else []),
        _cost(report),
    ]
    return "\n\n".join(parts)


def _scores(rows: "list[tuple[str, Evaluation]]") -> str:
    header = ("network", "accuracy", "recall", "precision", "IoU", "pooled IoU", "IoU at 0.5",
              "Dice at 0.5", "Brier", "ECE")  # fmt: skip
    lines = []
    for name, evaluation in rows:
        mean, hard = evaluation.soft.per_image, evaluation.thresholded
        soft = [mean[metric].mean for metric in ("accuracy", "recall", "precision", "iou")]
        decided = [hard.per_image["iou"].mean, hard.per_image["dice"].mean]
        trust = [evaluation.calibration.brier, evaluation.calibration.ece]
        lines.append([name, *soft, evaluation.soft.pooled.iou, *decided, *trust])
    return table(header, lines)


def _distributions(rows: "list[tuple[str, Evaluation]]") -> str:
    header = ("network", "metric", "mean", "std", "25 %", "median", "75 %", "pooled",
              "mean at 0.5", "pooled at 0.5", "undefined")  # fmt: skip
    lines = []
    for name, evaluation in rows:
        for metric, spread in evaluation.soft.per_image.items():
            hard = evaluation.thresholded
            lines.append(
                [name, metric, spread.mean, spread.std, spread.q25, spread.median, spread.q75,
                 getattr(evaluation.soft.pooled, metric), hard.per_image[metric].mean,
                 getattr(hard.pooled, metric), spread.left_out]
            )  # fmt: skip
    return table(header, lines)


def _differences(comparisons: "tuple[Comparison, ...]") -> list[str]:
    from runtime.metrics import STUDY_METRICS

    if not comparisons:
        return []
    first = comparisons[0]
    unit = "images" if first.groups == first.images else "groups of similar images"
    header = ("networks", "metric", "difference", "from", "to")
    lines = []
    for pair in comparisons:
        for metric in STUDY_METRICS:
            found = pair.find(metric).difference
            names = f"{Path(pair.other).name} - {Path(pair.one).name}"
            lines.append([names, metric, found.value, found.low, found.high])
    title = (
        f"Paired differences of the soft metrics' means, with {first.level:.0%} intervals "
        f"(bootstrap of {first.groups} {unit}):\n"
    )
    return [title + table(header, lines)]


def _cost(report: "EvaluationReport") -> str:
    header = ("network", "input", "parameters, M", "GMACs", "file, MB")
    lines = []
    for file, evaluation in report.models:
        network = file.metadata.network if file.metadata else None
        height, width = evaluation.size
        macs = None
        if file.metadata is not None and network is not None:
            spec = file.metadata.input
            macs = network.macs * height * width / (spec.height * spec.width)
        lines.append(
            [
                file.path.name,
                f"{height}x{width}",
                f"{network.parameters / 1e6:.2f}" if network else None,
                None if macs is None else f"{macs / 1e9:.2f}",
                f"{file.file_bytes / 1e6:.1f}",
            ]
        )
    return table(header, lines)
