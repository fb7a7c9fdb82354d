"""Evaluations as JSON and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.core.files import write_text
from runtime.core.json_files import without_nan, write_json
from runtime.core.schema import to_dict
from runtime.data.readable import Skipped
from runtime.metrics import METRICS, STUDY_METRICS, THRESHOLD, Scores, scores
from runtime.model.onnx_file import OnnxFile
from runtime.scoring.comparison import Comparison
from runtime.scoring.evaluation import Averages, Evaluation


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Files and baselines scored on one split.

    Attributes:
        data, split, masks: what they were scored on: the folder, the split's name, and what the
            masks were drawn from.
        models: each file with what it scores.
        comparisons: of each pair of files.
        warnings: what a reader of the scores should know, a sentence each.
        skipped: images that cannot be read; no score knows of them.
    """

    data: str
    split: str
    masks: str
    models: tuple[tuple[OnnxFile, Evaluation], ...]
    baselines: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def write_report(path: Path, report: EvaluationReport) -> None:
    """Write a report as JSON, NaN as null. Raises OutputError.

    `per_image` holds means over the images where a metric is defined, `pooled` the metrics of all
    pixels together; `spread` how each metric is distributed over the images.
    """
    write_json(
        path,
        {
            "data": report.data,
            "split": report.split,
            "masks": report.masks,
            "models": [
                {"path": str(file.path), **_file_facts(file), **_evaluation(evaluation)}
                for file, evaluation in report.models
            ],
            "baselines": [
                {"name": baseline.name, **_evaluation(baseline)} for baseline in report.baselines
            ],
            "warnings": list(report.warnings),
            "skipped": [to_dict(image) for image in report.skipped],
            "comparisons": [to_dict(comparison) for comparison in report.comparisons],
        },
    )


def write_samples(path: Path, report: EvaluationReport) -> None:
    """Write a row for each file and image as CSV, NaN as an empty field.

    The last field tells why an image of the split was skipped; its metrics are empty.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    at = f"_at_{THRESHOLD}"
    writer.writerow(["model", "file", *METRICS, *(name + at for name in METRICS), "skipped"])
    for file, evaluation in report.models:
        for sample in evaluation.samples:
            soft, hard = scores(sample.soft), scores(sample.thresholded)
            values = [getattr(s, name) for s in (soft, hard) for name in METRICS]
            writer.writerow([file.path, sample.file, *without_nan(values), ""])
        for image in report.skipped:
            if image.split == report.split:
                nothing = [""] * (2 * len(METRICS))
                writer.writerow([file.path, image.file, *nothing, image.reason])
    write_text(path, text.getvalue())


def _file_facts(file: OnnxFile) -> dict[str, Any]:
    network = file.metadata.network if file.metadata else None
    return {
        "digest": file.digest,
        "file_bytes": file.file_bytes,
        "parameters": network.parameters if network else None,
        "macs": network.macs if network else None,
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    soft = _averages(evaluation.soft, STUDY_METRICS)
    return {
        "size": list(evaluation.size),
        "images": len(evaluation.samples),
        **soft,
        "thresholded": {"threshold": THRESHOLD, **_averages(evaluation.thresholded, METRICS)},
        "spread": {name: to_dict(s) for name, s in evaluation.soft.per_image.items()},
        "calibration": to_dict(evaluation.calibration),
        "samples": [
            {"file": sample.file, **_chosen(scores(sample.soft), STUDY_METRICS)}
            for sample in evaluation.samples
        ],
    }


def _averages(averages: Averages, names: Sequence[str]) -> dict[str, Any]:
    return {
        "per_image": {name: averages.per_image[name].mean for name in names},
        "pooled": _chosen(averages.pooled, names),
    }


def _chosen(values: Scores, names: Sequence[str]) -> dict[str, float]:
    return {name: getattr(values, name) for name in names}
