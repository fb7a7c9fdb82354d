"""A measurement's result in its file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
from bench.measure.result import read_result, write_result
from bench.measure.run import Measurement
from bench.measure.settings import MeasurementSettings, Scoring
from runtime.data.coco import read_dataset
from runtime.model.predictor import Predictor
from runtime.model.stopping_rule import StoppingRule
from runtime.scoring.comparison import soft_values
from runtime.scoring.evaluation import evaluate

BRIEF = MeasurementSettings(
    threads=1,
    batch_sizes=(2,),
    rule=StoppingRule(min_runs=8, max_runs=8),
    startups=1,
    stage_runs=2,
    limit_s=120.0,
)


@pytest.mark.usefixtures("inline_workers")
def test_the_score_of_each_image_is_kept_undefined_as_null(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    scoring = Scoring(str(phantom), size=(48, 48))
    result = Measurement([model], replace(BRIEF, scoring=scoring)).run()
    (row,) = result.models
    assert row.accuracy is not None
    assert row.accuracy.size == (48, 48)
    expected = evaluate(Predictor(model), read_dataset(phantom).split("test"), size=(48, 48))
    assert row.accuracy.per_image_iou == pytest.approx(soft_values(expected, "iou"))
    assert row.accuracy.iou == pytest.approx(np.mean(row.accuracy.per_image_iou))

    undefined = (*row.accuracy.per_image_iou[1:], float("nan"))
    changed = replace(row, accuracy=replace(row.accuracy, per_image_iou=undefined))
    path = tmp_path / "result.json"
    write_result(path, replace(result, models=(changed,)))
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["models"][0]["accuracy"]["per_image_iou"][-1] is None
    (read,) = read_result(path).models
    assert read.accuracy is not None
    assert read.accuracy.per_image_iou == pytest.approx(undefined, nan_ok=True)
    # A result from before the scores of each image were kept.
    for name in ("per_image_iou", "image_groups"):
        del content["models"][0]["accuracy"][name]
    path.write_text(json.dumps(content))
    (old,) = read_result(path).models
    without = replace(row, accuracy=replace(row.accuracy, per_image_iou=(), image_groups=()))
    assert str(old) == str(without)
