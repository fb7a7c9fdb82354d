"""Prediction on a cluster of threads: interruption, and images that end their workers."""

import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
import runtime.distributed.prediction as under_test
from runtime.core.errors import ConfigError, ImageError, OutputError
from runtime.core.progress import Progress, ProgressCallback
from runtime.distributed.prediction import PredictionJob, listed, predict_on_cluster
from runtime.distributed.prediction_folder import Predictions
from runtime.model.image_files import FoundImage, find_images
from runtime.model.predict_files import FilePrediction, predict_files
from runtime.model.providers import ProviderRequest
from tests.support.model_builder import ModelBuilder
from tests.support.thread_cluster import killed_worker, thread_cluster


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with thread_cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def data(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom / "test", tmp_path / "data"))


@pytest.fixture
def images(data: Path) -> tuple[FoundImage, ...]:
    return find_images([str(data)])


@pytest.fixture
def job(build_onnx: ModelBuilder, tmp_path: Path) -> PredictionJob:
    under_test._open.cache_clear()
    model = build_onnx(tmp_path / "m.onnx")
    return PredictionJob(str(model), str(tmp_path / "out"), size=(32, 32), skip_unreadable=True)


def predicted(
    scheduler: str,
    job: PredictionJob,
    data: Path,
    shard_size: int = 64,
    on_progress: ProgressCallback | None = None,
) -> tuple[list[FilePrediction], list[str]]:
    with listed(job, [str(data)], shard_size) as folder:
        predict_on_cluster(scheduler, job, folder, on_progress)
        found = Predictions(folder)
        assert len(found) == len(list(found))
        return list(found), found.skipped


def test_a_second_run_predicts_what_the_first_left(
    scheduler: str, job: PredictionJob, data: Path, images: tuple[FoundImage, ...]
) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predicted(scheduler, job, data, 1, stop)
    first = {path: path.stat().st_mtime_ns for path in Path(job.out).glob("*.png")}
    assert len(first) >= 2 * 2
    done: list[float] = []
    written, _ = predicted(scheduler, job, data, 3, lambda progress: done.append(progress.done))
    assert all(number > 2 for number in done)
    assert written == list(predict_files(job.open(), images, job.out))
    assert not (Path(job.out) / ".parts").exists()


def test_an_image_that_ends_its_workers_is_named_and_set_aside(
    scheduler: str,
    job: PredictionJob,
    data: Path,
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
    written, skipped = predicted(scheduler, job, data, 4)
    assert skipped == [reason]
    assert [one.image for one in written] == [i.path for i in images if i is not deadly]
    with pytest.raises(ImageError, match=reason):
        predicted(scheduler, replace(job, skip_unreadable=False), data)


def test_a_worker_with_another_network_or_without_the_images_is_refused_by_name(
    scheduler: str,
    job: PredictionJob,
    data: Path,
    build_onnx: ModelBuilder,
) -> None:
    with listed(job, [str(data)]) as folder:
        data.rename(data.with_name("elsewhere"))
        message = rf"^the worker inproc://\S+: {data}: no such folder$"
        with pytest.raises(ConfigError, match=message):
            predict_on_cluster(scheduler, job, folder)
        data.with_name("elsewhere").rename(data)
    under_test._open.cache_clear()
    with listed(job, [str(data)]) as folder:
        build_onnx(Path(job.model), activation="HardSigmoid")
        message = rf"^the worker inproc://\S+: the digest of {job.model} is \w+, and \w+ elsewhere$"
        with pytest.raises(ConfigError, match=message):
            predict_on_cluster(scheduler, job, folder)


def test_a_list_that_changed_is_predicted_anew(
    scheduler: str, job: PredictionJob, data: Path, images: tuple[FoundImage, ...]
) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predicted(scheduler, job, data, 1, stop)
    images[0].path.rename(data / "zuletzt.png")
    written, _ = predicted(scheduler, job, data, 1)
    assert [one.image for one in written] == [image.path for image in find_images([str(data)])]


def test_every_setting_of_a_job_reaches_the_network_or_the_files(
    job: PredictionJob, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {
        "size": (48, 48), "resize": "fit", "intensity": 4095, "verify": False, "threads": 2,
        "provider": ProviderRequest("cpu", strict=True), "map_format": "npy", "frame": 2,
        "volume": 3, "threshold": 0.25,
    }  # fmt: skip
    others = {"model", "out", "skip_unreadable"}
    assert changes.keys() | others == {field.name for field in fields(PredictionJob)}
    opened, seen, changed = job.open(), dict[str, Any](), replace(job, **changes)
    monkeypatch.setattr(under_test, "this_worker", lambda: "here")
    monkeypatch.setattr(
        under_test, "Predictor", lambda _, **options: seen.update(options) or opened
    )
    monkeypatch.setattr(
        under_test, "predict_files", lambda *_, **options: seen.update(options) or ()
    )
    with listed(changed, [str(data)]) as folder:
        under_test._predict(under_test._Shard(changed, str(folder.path), 0, 1))
    assert changes.items() <= seen.items()


def test_a_result_that_would_replace_an_image_is_refused(job: PredictionJob, data: Path) -> None:
    first = min(data.glob("*.png"))
    overlay = first.with_name(f"{first.stem}.overlay.png")
    shutil.copy(first, overlay)
    before = overlay.read_bytes()
    with (
        pytest.raises(OutputError, match=rf"^{overlay}: would replace the input {overlay}$"),
        listed(replace(job, out=str(data)), [str(data)]),
    ):
        pass
    assert overlay.read_bytes() == before


def test_nothing_is_written_where_no_image_is_found(job: PredictionJob, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such image"), listed(job, [str(tmp_path / "gone")]):
        pass
    assert not Path(job.out).exists()
