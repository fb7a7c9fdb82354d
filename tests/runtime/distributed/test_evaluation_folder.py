"""What workers read from the shared folder, against what was written to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.core.schema import to_dict
from runtime.distributed.evaluation_folder import EvaluationFolder
from runtime.scoring.evaluation_run import EvaluationRun, EvaluationSettings, open_evaluation
from tests.support.model_builder import ModelBuilder


@pytest.fixture(scope="module")
def run(
    build_onnx: ModelBuilder, phantom: Path, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationRun:
    """Two networks of two sizes, so that the baselines have two mean masks."""
    folder = tmp_path_factory.mktemp("models")
    models = [build_onnx(folder / f"{s}.onnx", shape=(1, 3, s, s)) for s in (32, 16)]
    return open_evaluation(models, phantom, EvaluationSettings(threads=1))


def test_a_worker_reads_what_was_written(run: EvaluationRun, tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path)
    assert not folder.is_written
    folder.write(run, shard_size=3)
    assert folder.is_written
    plan = folder.plan()
    assert (plan.identity, plan.images, plan.shard_size) == (run.identity, 4, 3)
    assert to_dict(plan.heading) == to_dict(run.heading())
    for start, stop in ((0, 3), (1, 2), (2, 3), (3, 4)):
        assert folder.samples(start, stop, plan) == run.split.samples[start:stop]
    assert len(run.scorer.train) == 2
    for found, expected in zip(folder.train(plan), run.scorer.train, strict=True):
        assert (found.size, found.masks) == (expected.size, expected.masks)
        assert found.samples == expected.samples
        np.testing.assert_array_equal(found.mean, expected.mean)
        np.testing.assert_array_equal(found.thumbnails, expected.thumbnails)


def test_without_baselines_there_is_nothing_to_predict_from(
    run: EvaluationRun, tmp_path: Path
) -> None:
    folder = EvaluationFolder(tmp_path)
    folder.write(replace(run, scorer=replace(run.scorer, train=())), shard_size=3)
    assert folder.train(folder.plan()) == ()
