"""Prediction on a cluster of threads: interruption, and images that end their workers."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
import runtime.distributed.prediction as under_test
from runtime.core.errors import ConfigError, ImageError
from runtime.core.progress import Progress
from runtime.distributed.prediction import PredictionJob, predict_on_cluster
from runtime.distributed.tasks import run_tasks
from runtime.model.image_files import FoundImage, find_images
from runtime.model.predict_files import predict_files
from tests.support.model_builder import ModelBuilder
from tests.support.thread_cluster import killed_worker, thread_cluster


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with thread_cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def images(phantom: Path, tmp_path: Path) -> tuple[FoundImage, ...]:
    return find_images([str(shutil.copytree(phantom / "test", tmp_path / "data"))])


@pytest.fixture
def job(build_onnx: ModelBuilder, tmp_path: Path) -> PredictionJob:
    under_test._open.cache_clear()
    model = build_onnx(tmp_path / "m.onnx")
    return PredictionJob(str(model), str(tmp_path / "out"), size=(32, 32), skip_unreadable=True)


def test_a_second_run_predicts_what_the_first_left(
    scheduler: str,
    job: PredictionJob,
    images: tuple[FoundImage, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_on_cluster(scheduler, job, images, 1, stop)
    first = {path: path.stat().st_mtime_ns for path in Path(job.out).glob("*.png")}
    assert len(first) >= 2 * 2
    found = predict_on_cluster(scheduler, job, images, 1)
    assert [one.image for one in found.written] == [image.path for image in images]
    assert found.written == predict_files(job.open(), images, job.out)
    assert not (Path(job.out) / ".parts").exists()


def test_an_image_that_ends_its_workers_is_named_and_set_aside(
    scheduler: str,
    job: PredictionJob,
    images: tuple[FoundImage, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deadly = images[1]

    def dying(predictor: Any, shard: Any, *rest: Any, **options: Any) -> Any:
        if deadly in shard:
            raise killed_worker("predict")
        return predict_files(predictor, shard, *rest, **options)

    monkeypatch.setattr(under_test, "predict_files", dying)
    reason = f"{deadly.path}: ended its worker process 3 times"
    found = predict_on_cluster(scheduler, job, images, 4)
    assert found.skipped == (reason,)
    assert [one.image for one in found.written] == [i.path for i in images if i is not deadly]
    with pytest.raises(ImageError, match=reason):
        predict_on_cluster(scheduler, replace(job, skip_unreadable=False), images)


def test_a_worker_with_another_network_or_without_the_images_is_refused_by_name(
    scheduler: str,
    job: PredictionJob,
    images: tuple[FoundImage, ...],
    build_onnx: ModelBuilder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = [replace(image, path=Path("/gone") / image.path.name) for image in images]
    with pytest.raises(ConfigError, match=r"^the worker inproc://\S+: /gone: no such folder$"):
        predict_on_cluster(scheduler, job, lost)
    under_test._open.cache_clear()

    def swapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        build_onnx(Path(job.model), activation="HardSigmoid")
        return run_tasks(*args, **kwargs)

    monkeypatch.setattr(under_test, "run_tasks", swapped)
    message = rf"^the worker inproc://\S+: the digest of {job.model} is \w+, and \w+ elsewhere$"
    with pytest.raises(ConfigError, match=message):
        predict_on_cluster(scheduler, job, images)
