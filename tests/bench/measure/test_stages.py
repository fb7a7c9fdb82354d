"""The stages of a prediction."""

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from bench.measure.stages import STAGES, example_jpeg, time_stages
from runtime.model.predictor import Predictor


def test_stages_are_those_of_a_prediction(model: Path) -> None:
    predictor = Predictor(model)
    found = time_stages(predictor, example_jpeg())
    assert tuple(found) == STAGES
    assert min(found.values()) > 0
