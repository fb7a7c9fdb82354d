"""The text that `seg-eval` prints."""

from collections.abc import Sequence
from pathlib import Path

from runtime.cli.display import skipped_text, table
from runtime.metrics import STUDY_METRICS
from runtime.scoring.comparison import Comparison
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.results import EvaluationReport, ScoredFile

NamedEvaluations = Sequence[tuple[str, Evaluation]]


def evaluation_text(report: EvaluationReport) -> str:
    """Return the tables, notes and skipped images of an evaluation."""
    rows = [(Path(model.path).name, model.evaluation) for model in report.models]
    parts = [
        _heading(report),
        "Soft metrics per image (the study's), pooled IoU, and metrics at threshold 0.5:\n"
        + _scores([*rows, *_baselines(report)]),
        "Distribution of the soft metrics over images, and means at threshold 0.5:\n"
        + _distributions(rows),
        *_differences(report.comparisons),
        *(f"Note: {warning}" for warning in report.warnings),
        *([skipped_text([image.reason for image in report.skipped])] if report.skipped else []),
        _cost(report.models),
    ]
    return "\n\n".join(parts)


def _heading(report: EvaluationReport) -> str:
    scored = len(report.models[0].evaluation.samples)
    skipped = sum(image.split == report.split for image in report.skipped)
    images = f"{scored} images"
    if skipped:
        images += f" of {scored + skipped}, {skipped} skipped"
    return f"{report.data}, split {report.split}: {images}, masks from {report.masks}"


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
        *("network", "metric", "mean", "std", "25 %", "median", "75 %", "pooled"),
        *("mean at 0.5", "pooled at 0.5", "undefined"),
    )
    lines = []
    for name, evaluation in rows:
        soft, hard = evaluation.soft, evaluation.thresholded
        for metric, spread in soft.per_image.items():
            quantiles = [spread.q25, spread.median, spread.q75, getattr(soft.pooled, metric)]
            decided = [hard.per_image[metric].mean, getattr(hard.pooled, metric)]
            row = [name, metric, spread.mean, spread.std, *quantiles, *decided, spread.left_out]
            lines.append(row)
    return table(header, lines)


def _differences(comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    first = comparisons[0]
    unit = "images" if first.groups == first.images else "groups of similar images"
    lines = []
    for pair in comparisons:
        names = f"{Path(pair.other).name} - {Path(pair.one).name}"
        for metric in STUDY_METRICS:
            difference = pair.find(metric).difference
            lines.append([names, metric, difference.value, difference.low, difference.high])
    title = (
        f"Paired differences of the mean soft metrics, with {first.level:.0%} confidence intervals "
        f"(bootstrap of {first.groups} {unit}):\n"
    )
    return [title + table(("networks", "metric", "difference", "from", "to"), lines)]


def _cost(models: Sequence[ScoredFile]) -> str:
    rows = [
        [
            Path(model.path).name,
            f"{model.input_size[0]}x{model.input_size[1]}",
            None if model.parameters is None else f"{model.parameters / 1e6:.2f}",
            None if model.macs is None else f"{model.macs / 1e9:.2f}",
            f"{model.file_bytes / 1e6:.1f}",
        ]
        for model in models
    ]
    return table(("network", "input", "parameters, M", "GMACs", "file, MB"), rows)
