"""The process that measures one network, asked without a process."""

import shutil
from pathlib import Path
from typing import cast

import pytest

from bench.measure.worker import _Network
from bench.workers.service import Service
from runtime.core.errors import ModelError
from runtime.data.coco import read_dataset
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import evaluate
from tests.support.pictures import darken


class Progress:
    """Stands in for a service: it takes what is sent."""

    def send(self, _: object) -> None:
        pass


def damaged(model: Path, folder: Path) -> Path:
    """Return a copy whose checksums do not fit its weights."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(model)
    weight = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    weight.raw_data = bytes(len(weight.raw_data))
    onnx.save(graph, folder / "changed.onnx")
    return folder / "changed.onnx"


def test_an_intensity_and_no_verification_reach_the_scores(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantom / "test", tmp_path / "dark" / "test")
    dark, changed = darken(tmp_path / "dark"), damaged(model, tmp_path)
    network = _Network(cast(Service, Progress()))
    cpu = {"provider": "cpu"}
    with pytest.raises(ModelError, match="changed since its export"):
        network.load(str(changed), None, 1, cpu)
    network.load(str(changed), None, 1, cpu, intensity=4095, verify=False)
    answer = network.evaluate(str(dark), "test", "boxes", None, [])
    expected = evaluate(
        Predictor(changed, threads=1, verify=False),
        read_dataset(phantom).split("test"),
        masks="boxes",
    )
    assert answer["accuracy"]["iou"] == expected.soft.per_image["iou"].mean
