"""Measuring real files in real processes: what fails is a row, and the rest is measured."""

import os
import queue
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.support.faulty_files import install
from tests.support.model_builder import ModelBuilder

pytest.importorskip("onnx")

from bench.measure.accuracy import accuracy_of, read_accuracy
from bench.measure.result import read_result, write_result
from bench.measure.run import Measurement
from bench.measure.settings import MeasurementSettings, Scoring
from bench.measure.stages import STAGES
from bench.workers.process import Worker
from export.inspection.file import inspect
from runtime.core.errors import MeasurementError
from runtime.core.progress import Progress
from runtime.data.coco import Dataset
from runtime.model.predictor import Predictor
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine
from runtime.model.stopping_rule import StoppingRule
from runtime.scoring.evaluation import evaluate
from runtime.scoring.results import EvaluationReport, file_facts, scored_file, write_report

BRIEF = MeasurementSettings(
    threads=1,
    batch_sizes=(2,),
    rule=StoppingRule(min_runs=8, max_runs=8),
    startups=1,
    stage_runs=2,
    limit_s=120.0,
)


def test_everything_of_a_file_is_measured(model: Path, phantom: Path, tmp_path: Path) -> None:
    reported: list[Progress] = []
    settings = replace(BRIEF, scoring=Scoring(str(phantom)))
    measurement = Measurement([model], settings, reported.append)
    result = measurement.run()
    (row,) = result.models
    counted = inspect(model)
    assert row.failure is None
    assert (row.digest, row.file_bytes) == (counted.digest, model.stat().st_size)
    assert counted.metadata is not None
    assert counted.metadata.network is not None
    assert row.parameters == counted.metadata.network.parameters
    assert row.macs == counted.counts.total.macs == counted.metadata.network.macs
    assert row.latency_ms is not None
    assert row.latency_ms.runs == 8
    assert row.latency_ms.low <= row.latency_ms.p50 <= row.latency_ms.high
    assert row.throughput_per_s is not None
    assert row.throughput_per_s["1"] == pytest.approx(1e3 / row.latency_ms.mean)
    assert row.throughput_per_s["2"] > 0
    assert row.macs is not None
    assert row.gmacs_per_s == pytest.approx(row.macs / row.latency_ms.p50 / 1e6)
    assert row.gmacs_per_s is not None
    assert result.matmul_gmacs_per_s is not None
    assert row.matmul_share == pytest.approx(row.gmacs_per_s / result.matmul_gmacs_per_s)
    assert row.stages_ms is not None
    assert tuple(row.stages_ms) == STAGES
    assert row.startup_s is not None
    assert row.startup_s > row.latency_ms.p50 / 1e3
    (file,) = measurement._files
    assert len(file.startups) == BRIEF.startups  # the first start, which fills the cache, is none
    assert row.accuracy is not None
    assert (row.accuracy.images, row.accuracy.split) == (4, "test")
    assert row.engine == Engine("cpu", onnxruntime.__version__, "cpu", "float32", threads=1)
    assert all(progress.done <= progress.total for progress in reported)
    assert reported[-1].note.endswith("image 4 of 4")

    path = tmp_path / "result.json"
    write_result(path, result)
    assert str(read_result(path)) == str(result)  # as text, since NaN is not equal to itself


def test_what_fails_is_a_row_with_its_reason(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each file would be measured in two more processes.
    monkeypatch.setattr(Measurement, "_measure_memory", lambda _: None)
    hanging = install(tmp_path / "faults") / "hanging"
    monkeypatch.setenv("PYTHONPATH", str(hanging.parent))

    class Answers(queue.SimpleQueue[bytes]):
        """The limit is over as soon as a file hangs, and not before, however busy the machine."""

        def get(self, block: bool = True, timeout: float | None = None) -> bytes:
            while True:
                try:
                    return super().get(timeout=0.02)
                except queue.Empty:
                    if timeout == 15.0 and hanging.exists():
                        hanging.unlink()
                        raise

    monkeypatch.setattr("bench.workers.process.queue.SimpleQueue", Answers)
    names = ("crash", "good", "hang", "damaged", "print")
    crash, good, hang, damaged, printing = (tmp_path / f"{name}.onnx" for name in names)
    for path in (crash, good, hang, printing):
        shutil.copy(model, path)
    damaged.write_bytes(model.read_bytes()[:-100])
    files = [crash, good, hang, damaged, printing]
    result = Measurement(files, replace(BRIEF, startups=0, limit_s=15.0)).run()
    rows = dict(zip(files, result.models, strict=True))
    assert [Path(row.path) for row in result.models] == files
    assert result.complete
    assert rows[crash].failure == "its process ended with SIGABRT (a last word)"
    assert rows[hang].failure == "gave no answer within 15 s"
    assert "expected a complete ONNX file" in str(rows[damaged].failure)
    assert rows[damaged].digest is None
    for path in (crash, hang, damaged):
        assert rows[path].latency_ms is None
    for path in (good, printing):
        assert rows[path].failure is None
        assert rows[path].latency_ms is not None
    (pair,) = result.rankings
    assert (Path(pair.first), Path(pair.second)) == (good, printing)


@pytest.mark.usefixtures("inline_workers")
def test_a_file_of_one_image_at_a_time_has_no_throughput_of_two_which_is_no_failure(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    fixed = build_onnx(tmp_path / "fixed.onnx", shape=(1, 3, 32, 32))
    result = Measurement([fixed, model], replace(BRIEF, startups=0)).run()
    row, other = result.models
    assert row.failure is None
    assert row.latency_ms is not None
    assert set(row.throughput_per_s or {}) == {"1"}
    assert set(other.throughput_per_s or {}) == {"1", "2"}
    assert row.parameters == 3
    assert len(result.rankings) == 1


@pytest.mark.usefixtures("inline_workers")
def test_a_result_tells_how_auto_chose_in_this_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    providers = (ProviderRequest("auto"),)
    settings = replace(BRIEF, providers=providers, batch_sizes=(), startups=0, stage_runs=0)
    (row,) = Measurement([model], settings).run().models
    assert row.choice is not None
    assert row.engine is not None
    assert row.choice.request.provider == row.engine.provider
    assert not row.choice.cached


@pytest.mark.usefixtures("inline_workers")
def test_an_interrupted_run_has_what_was_measured_so_far(model: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.note.endswith("round 4"):
            raise KeyboardInterrupt

    measurement = Measurement([model], BRIEF, stop)
    with pytest.raises(KeyboardInterrupt):
        measurement.run()
    result = measurement.result()
    (row,) = result.models
    assert not result.complete
    assert row.startup_s is not None
    assert row.latency_ms is not None
    assert row.latency_ms.runs == 4
    assert row.stages_ms is None


def test_a_worker_that_is_gone_or_asked_nonsense_says_so() -> None:
    with Worker("bench.measure.worker", threads=1, limit_s=60.0) as worker:
        with pytest.raises(MeasurementError, match="no network is loaded"):
            worker.ask("run", batch=1)
        with pytest.raises(MeasurementError, match="unexpected KeyError"):
            worker.ask("nonsense")
        with pytest.raises(MeasurementError, match="memory is not enough"):
            worker.ask("multiply", side=1 << 24)
        assert worker.ask("multiply", side=8)["seconds"] > 0
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(MeasurementError, match="ended with SIGKILL, perhaps for lack"):
            worker.ask("multiply", side=8)


@pytest.mark.usefixtures("inline_workers")
def test_accuracy_from_an_evaluation_is_the_one_measured(
    model: Path, phantom: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    predictor = Predictor(model)
    evaluation = evaluate(predictor, phantom_data.split("test"))
    scored = (scored_file(file_facts(predictor), evaluation),)
    path = tmp_path / "evaluation.json"
    write_report(path, EvaluationReport(str(phantom), "test", "boxes", scored, ()))
    known = read_accuracy(path)
    measured = accuracy_of(evaluation, (), str(phantom), "test", "boxes")
    assert str(known) == str({(predictor.file.digest, "cpu", "float32"): measured})
    grouped = accuracy_of(evaluation, (1, 1, 2, 2), str(phantom), "test", "boxes")
    assert (measured.groups, grouped.groups) == (4, 2)
    assert (measured.image_groups, grouped.image_groups) == ((), (1, 1, 2, 2))
    assert np.isclose(grouped.iou, measured.iou)

    report = EvaluationReport(str(phantom), "test", "boxes", scored, (), groups=(1, 1, 2, 2))
    write_report(path, report)
    assert str(read_accuracy(path)) == str({(predictor.file.digest, "cpu", "float32"): grouped})

    (row,) = Measurement([model], replace(BRIEF, known=known)).run().models
    assert str(row.accuracy) == str(measured)
    (row,) = Measurement([model], replace(BRIEF, known=known, size=(64, 64))).run().models
    assert row.accuracy is None, "the evaluation is of another size"
