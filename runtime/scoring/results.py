"""The scores of files on a data set, as JSON, which can be read again, and as CSV.

The JSON file holds `EvaluationReport` field by field, and its format's `version`. NaN is null.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from runtime.core.errors import DataError
from runtime.core.files import replacing
from runtime.core.json_files import read_json, without_nan, write_json
from runtime.core.schema import from_dict
from runtime.core.settings import Resize
from runtime.data.readable import Skipped
from runtime.metrics import METRICS, THRESHOLD, image_scores
from runtime.model.predictor import Predictor
from runtime.model.sessions import Engine
from runtime.scoring.comparison import Comparison
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.patients import VOLUME_METRICS, PatientSums
from runtime.scoring.sample_sums import SampleSums

VERSION = 4
"""Of the JSON format. Version 1 held metrics of each image instead of its sums. Version 2 counted
images without foreground in the means of overlap metrics. Version 3 had neither patients nor
surface scores and lesions."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """An ONNX file, and what it is scored with.

    Attributes:
        path, digest, file_bytes: identify the file.
        parameters: of the network; None if the file does not state them.
        macs: multiply-accumulates for one image of the evaluated size; None if unknown.
        input_size: (height, width) of the network's input.
        engine: what computes the network.
        resize: how images meet the input (`runtime.data.framing`).
    """

    path: str
    digest: str
    file_bytes: int
    parameters: int | None
    macs: float | None
    input_size: tuple[int, ...]
    engine: Engine
    resize: Resize = "stretch"


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """An ONNX file and its scores.

    Attributes:
        evaluation: the scores.
        engine: None in old results.

    The other attributes are those of `FileFacts`.
    """

    path: str
    digest: str
    file_bytes: int
    parameters: int | None
    macs: float | None
    input_size: tuple[int, ...]
    evaluation: Evaluation
    engine: Engine | None = None
    resize: Resize = "stretch"


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Files and baselines, scored on one split.

    Attributes:
        data: folder of the data set.
        split: name of the split.
        masks: the source of the target masks, "boxes" or "segmentation".
        models: the files, in the order given.
        baselines: the baselines, at each input size of the files.
        groups: the group of similar images of each image, or its patient's number, as the data set
            states it; empty if it states neither.
        comparisons: of each pair of files with one input size.
        warnings: what a reader of the scores should know, a sentence each.
        skipped: unreadable images; the scores do not include them.
    """

    data: str
    split: str
    masks: str
    models: tuple[ScoredFile, ...]
    baselines: tuple[Evaluation, ...]
    groups: tuple[int, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def file_facts(predictor: Predictor) -> FileFacts:
    """Return the facts on an opened file, with its cost at the input size in use."""
    file, size = predictor.file, predictor.size
    parameters = macs = None
    if file.metadata is not None:
        stated = file.metadata.input
        parameters = file.metadata.network.parameters
        macs = file.metadata.network.macs * (size[0] * size[1]) / (stated.height * stated.width)
    path, bytes_ = str(file.path), file.file_bytes
    resize = predictor.framing.resize
    return FileFacts(path, file.digest, bytes_, parameters, macs, size, predictor.engine, resize)


def scored_file(facts: FileFacts, evaluation: Evaluation) -> ScoredFile:
    """Return a file with its scores."""
    values = {one.name: getattr(facts, one.name) for one in fields(facts)}
    return ScoredFile(**values, evaluation=evaluation)


def write_report(path: Path, report: EvaluationReport) -> None:
    """Write a report as JSON, NaN as null. Raises OutputError."""
    write_json(path, {"version": VERSION, **without_nan(report)})


def read_report(path: Path) -> EvaluationReport:
    """Read a report that `write_report` wrote.

    Raises:
        DataError: the file cannot be read, or is not an evaluation of this version.
    """
    content = read_json(path, error=DataError)
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise DataError(
            f"{path}: expected an evaluation of version {VERSION}, as seg-eval --json writes it"
        )
    report = from_dict(EvaluationReport, content, where=str(path), error=DataError)
    evaluations = [*(model.evaluation for model in report.models), *report.baselines]
    if not all(_is_complete(evaluation, report.groups) for evaluation in evaluations):
        raise DataError(f"{path}: an evaluation lacks images, groups or metrics")
    return report


def _is_complete(evaluation: Evaluation, groups: tuple[int, ...]) -> bool:
    averages = evaluation.soft, evaluation.thresholded
    images = len(evaluation.samples)
    has_metrics = all(set(METRICS) <= a.per_image.keys() for a in averages)
    return images > 0 and len(groups) in (0, images) and has_metrics


def write_samples(path: Path, report: EvaluationReport) -> None:
    """Write a row for each file and image as CSV, NaN as an empty field.

    An image without foreground has an accuracy, and no other metric. `predicted_at_0.5` is the
    share of pixels with p >= 0.5. Scores that were not asked for are empty. The last field is the
    reason why an image of the split was skipped; its metrics are empty.

    Raises:
        OutputError: the file cannot be written.
    """
    _write_csv(path, _sample_rows(report))


def _sample_rows(report: EvaluationReport) -> Iterator[list[object]]:
    """Yield the header, and the rows of each file, one by one."""
    columns = [*METRICS, *(name + _AT for name in METRICS), "predicted" + _AT, *_CLINICAL]
    yield ["model", "file", "patient", *columns, "skipped"]
    skipped = [image for image in report.skipped if image.split == report.split]
    for model in report.models:
        for sample in model.evaluation.samples:
            soft, hard = image_scores(sample.soft), image_scores(sample.thresholded)
            values: list[object] = [getattr(s, name) for s in (soft, hard) for name in METRICS]
            values.append(sample.thresholded.predicted / sample.thresholded.pixels)
            values += _clinical(sample)
            yield [model.path, sample.file, sample.patient, *values, None]
        for image in skipped:
            yield [model.path, image.file, *[None] * (1 + len(columns)), image.reason]


def write_patients(path: Path, report: EvaluationReport) -> None:
    """Write a row for each file and patient as CSV, NaN as an empty field.

    Raises:
        DataError: the data set does not state the patient of every image.
        OutputError: the file cannot be written.
    """
    names = [*VOLUME_METRICS, *(name + _AT for name in VOLUME_METRICS)]
    rows: list[list[object]] = [["model", "patient", "images", *names, *_CLINICAL]]
    for model in report.models:
        scores = model.evaluation.patients
        if scores is None:
            raise DataError(f"{report.data}: not every image of {report.split} states its patient")
        for patient in scores.patients:
            soft, hard = image_scores(patient.soft), image_scores(patient.thresholded)
            values = [getattr(s, name) for s in (soft, hard) for name in VOLUME_METRICS]
            rows.append([model.path, patient.patient, patient.images, *values, *_clinical(patient)])
    _write_csv(path, rows)


_AT = f"_at_{THRESHOLD}"
_CLINICAL = ("hd95", "nsd", "lesions_found", "lesions_missed", "lesions_false")


def _clinical(scored: SampleSums | PatientSums) -> list[object]:
    """Return the values of the columns `_CLINICAL`."""
    surface, lesions = scored.surface, scored.lesions
    distances = [None, None] if surface is None else [surface.hd95, surface.nsd]
    if lesions is None:
        return [*distances, None, None, None]
    return [*distances, *map(sum, (lesions.found, lesions.missed, lesions.false))]


def _write_csv(path: Path, rows: Iterable[list[object]]) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(map(without_nan, rows))
