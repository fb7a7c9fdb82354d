"""Evaluation reports as JSON, read back unchanged, and as CSV."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.core.errors import DataError
from runtime.core.schema import to_dict
from runtime.data.coco import Dataset
from runtime.metrics import METRICS, image_scores
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import evaluate, score
from runtime.scoring.files import evaluate_files
from runtime.scoring.results import (
    EvaluationReport,
    file_facts,
    read_report,
    scored_file,
    write_report,
    write_samples,
)


@pytest.fixture(scope="module")
def report(model: Path, phantom_data: Dataset) -> EvaluationReport:
    return evaluate_files([model, model], phantom_data)


def test_the_json_is_read_back_unchanged(report: EvaluationReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, report)
    # As text, since NaN is not equal to itself.
    assert str(read_report(path)) == str(report)


def test_the_json_says_by_name_what_was_scored(report: EvaluationReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, report)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    model, _ = content["models"]
    evaluation = report.models[0].evaluation
    assert content["version"] == 4
    assert len(model["evaluation"]["samples"]) == len(evaluation.samples)
    for sample, written in zip(evaluation.samples, model["evaluation"]["samples"], strict=True):
        assert written["file"] == sample.file
        assert written["soft"]["overlap"] == sample.soft.overlap
    soft, hard = model["evaluation"]["soft"], model["evaluation"]["thresholded"]
    assert list(soft["per_image"]) == list(soft["pooled"]) == list(METRICS)
    assert soft["per_image"]["iou"]["mean"] == evaluation.soft.per_image["iou"].mean
    assert hard["pooled"]["dice"] == evaluation.thresholded.pooled.dice
    assert content["baselines"][0]["soft"]["pooled"]["precision"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.update(version=3), "expected an evaluation of version 4"),
        (lambda content: content["models"][0]["evaluation"].update(samples=[]), "lacks images"),
        (lambda content: content.update(groups=[1]), "lacks images, groups"),
        (lambda content: content["baselines"][1]["soft"]["per_image"].pop("iou"), "or metrics"),
        (lambda content: content.pop("split"), "missing field 'split'"),
    ],
)
def test_another_file_is_refused(
    report: EvaluationReport, tmp_path: Path, change: object, words: str
) -> None:
    content = {"version": 4, **to_dict(report)}
    content = json.loads(json.dumps(content).replace("NaN", "null"))
    assert callable(change)
    change(content)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words):
        read_report(path)


def test_the_cost_is_that_of_the_input_size(model: Path, phantom_data: Dataset) -> None:
    predictor = Predictor(model, size=(64, 32))
    metadata = predictor.file.metadata
    assert metadata is not None
    split = phantom_data.split("test")
    scored = scored_file(file_facts(predictor), evaluate(predictor, split))
    stated = metadata.input.height * metadata.input.width
    assert scored.macs == metadata.network.macs * 64 * 32 / stated
    assert scored.parameters == metadata.network.parameters


def test_the_csv_has_a_row_for_each_image(report: EvaluationReport, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    write_samples(path, report)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    rows = rows[: len(rows) // 2]
    samples = report.models[0].evaluation.samples
    assert [row["file"] for row in rows] == [sample.file for sample in samples]
    for row, sample in zip(rows, samples, strict=True):
        for name in METRICS:
            for column, sums in ((name, sample.soft), (f"{name}_at_0.5", sample.thresholded)):
                expected = getattr(image_scores(sums), name)
                found = float(row[column]) if row[column] else math.nan
                assert found == pytest.approx(expected, nan_ok=True)
        share = sample.thresholded.predicted / sample.thresholded.pixels
        assert float(row["predicted_at_0.5"]) == pytest.approx(share)


def test_a_withheld_interval_is_null_with_its_reason(
    report: EvaluationReport, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    write_report(path, report)
    (comparison,) = json.loads(path.read_text())["comparisons"]
    for found in comparison["differences"]:
        assert found["images"] <= 4
        assert found["difference"]["value"] is found["difference"]["low"] is None
        assert "too few for an interval" in found["difference"]["withheld"]


def test_an_undefined_metric_is_an_empty_field(
    model: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    """The recall of an image without foreground, and the precision where nothing is predicted."""
    report = evaluate_files([model], phantom_data, baselines=False)
    nothing = np.zeros((4, 4), np.float32)
    samples = phantom_data.split("test").samples[:1]
    empty = score("m", (4, 4), samples, [(nothing, nothing.astype(np.uint8))])
    scored = replace(report.models[0], evaluation=empty)
    write_samples(tmp_path / "samples.csv", replace(report, models=(scored,)))
    (row,) = csv.DictReader((tmp_path / "samples.csv").read_text().splitlines())
    assert (row["accuracy"], row["recall"], row["precision"], row["iou"]) == ("1.0", "", "", "")
