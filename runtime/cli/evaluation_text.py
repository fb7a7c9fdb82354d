"""The text that `seg-eval` prints."""

from collections.abc import Sequence
from pathlib import Path

from runtime.cli.clinical_text import NamedEvaluations, clinical_text
from runtime.cli.display import counted, engine_text, skipped_text, table
from runtime.metrics import METRICS, STUDY_METRICS
from runtime.scoring.comparison import Comparison, MetricDifference
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import withheld_notes
from runtime.scoring.results import EvaluationReport, ScoredFile


def evaluation_text(report: EvaluationReport) -> str:
    """Return the tables, notes and skipped images of an evaluation."""
    rows = [(Path(model.path).name, model.evaluation) for model in report.models]
    all_rows = [*rows, *_baselines(report)]
    parts = [
        _heading(report),
        f"{_scores_title(rows[0][1])}\n{_scores(all_rows)}",
        *_false_positives(all_rows),
        "Distribution of the soft metrics over images, and means at threshold 0.5, each with the "
        f"number of images that it is over:\n{_distributions(rows)}",
        *clinical_text(all_rows),
        *_differences(report.comparisons),
        *(f"Note: {warning}" for warning in report.warnings),
        *([skipped_text([image.reason for image in report.skipped])] if report.skipped else []),
        _cost(report.models),
    ]
    return "\n\n".join(parts)


def _heading(report: EvaluationReport) -> str:
    scored = len(report.models[0].evaluation.samples)
    skipped = sum(image.split == report.split for image in report.skipped)
    images = counted(scored, "image")
    if skipped:
        images = f"{scored} images of {scored + skipped}, {skipped} skipped"
    return f"{report.data}, split {report.split}: {images}, masks from {report.masks}"


def _scores_title(evaluation: Evaluation) -> str:
    images = len(evaluation.samples)
    foreground = images - evaluation.false_positives.images
    if foreground == images:
        return (
            f"Soft metrics per image (the study's), pooled IoU, and metrics at threshold 0.5, over "
            f"{counted(images, 'image')}, all with foreground:"
        )
    return (
        "Soft metrics per image (the study's), pooled IoU, and metrics at threshold 0.5. Recall, "
        f"precision, IoU and Dice\nare means over the {counted(foreground, 'image')} with "
        f"foreground; accuracy, pooled IoU, Brier and ECE are over all {images} images:"
    )


def _false_positives(rows: NamedEvaluations) -> list[str]:
    """Return the table on images without foreground, if there are any."""
    images = rows[0][1].false_positives.images
    if not images:
        return []
    header = ("network", "false-positive rate", "area at 0.5", "mean probability")
    found = [(name, evaluation.false_positives) for name, evaluation in rows]
    lines = [[name, each.rate, each.area, each.soft_area] for name, each in found]
    title = (
        f"Over the {counted(images, 'image')} without foreground: the share of images with any "
        "pixel of p >= 0.5, the mean share of\nsuch pixels, and the mean probability:\n"
    )
    return [title + table(header, lines)]


def _baselines(report: EvaluationReport) -> NamedEvaluations:
    sizes = {baseline.size for baseline in report.baselines}
    return [
        (b.name if len(sizes) == 1 else f"{b.name}, {b.size[0]}x{b.size[1]}", b)
        for b in report.baselines
    ]


def _scores(rows: NamedEvaluations) -> str:
    header = (
        *("network", "accuracy", "recall", "precision", "IoU", "pooled IoU"),
        *("IoU at 0.5", "Dice at 0.5", "Brier", "ECE"),
    )
    lines = []
    for name, evaluation in rows:
        soft, hard = evaluation.soft.per_image, evaluation.thresholded.per_image
        means = [soft[metric].mean for metric in STUDY_METRICS]
        decided = [hard["iou"].mean, hard["dice"].mean]
        calibration = [evaluation.calibration.brier, evaluation.calibration.ece]
        lines.append([name, *means, evaluation.soft.pooled.iou, *decided, *calibration])
    return table(header, lines)


def _distributions(rows: NamedEvaluations) -> str:
    header = (
        *("network", "metric", "images", "mean", "std", "25 %", "median", "75 %", "pooled"),
        *("mean at 0.5", "images at 0.5", "pooled at 0.5"),
    )
    lines = []
    for name, evaluation in rows:
        soft, hard = evaluation.soft, evaluation.thresholded
        for metric, spread in soft.per_image.items():
            quantiles = [spread.q25, spread.median, spread.q75, getattr(soft.pooled, metric)]
            at_half = hard.per_image[metric]
            decided = [at_half.mean, at_half.images, getattr(hard.pooled, metric)]
            lines.append(
                [name, metric, spread.images, spread.mean, spread.std, *quantiles, *decided]
            )
    return table(header, lines)


def _differences(comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    first = comparisons[0]
    unit = (
        "images" if first.groups == first.images else "groups of similar images or of one patient"
    )
    lines, named = [], []
    for pair in comparisons:
        names = f"{Path(pair.candidate).name} - {Path(pair.reference).name}"
        for found in _shown(pair):
            interval = found.difference
            soft = found.kind == "per image"
            metric = found.metric if soft else f"{found.metric} {found.kind}"
            lines.append([names, metric, interval.value, interval.low, interval.high, found.images])
            named.append((f"{metric} of {names}", interval))
    title = (
        f"Paired differences of the mean soft metrics, with {first.level:.0%} confidence intervals "
        f"(bootstrap of {first.groups} {unit}):\n"
    )
    header = ("networks", "metric", "difference", "from", "to", "images")
    return ["\n".join([title + table(header, lines), *withheld_notes(named)])]


def _shown(pair: Comparison) -> list[MetricDifference]:
    """Return the differences to show: of the study's metrics, of surfaces, lesions and patients."""
    return [
        found
        for found in pair.differences
        if (found.metric in STUDY_METRICS and found.kind == "per image")
        or found.metric not in METRICS
        or found.kind.startswith("per patient")
    ]


def _cost(models: Sequence[ScoredFile]) -> str:
    rows = [
        [
            Path(model.path).name,
            f"{model.input_size[0]}x{model.input_size[1]}, {model.resize}",
            None if model.parameters is None else f"{model.parameters / 1e6:.2f}",
            None if model.macs is None else f"{model.macs / 1e9:.3g}",
            f"{model.file_bytes / 1e6:.1f}",
            engine_text(model.engine) if model.engine else None,
        ]
        for model in models
    ]
    return table(("network", "input", "parameters, M", "GMACs", "file, MB", "computed by"), rows)
