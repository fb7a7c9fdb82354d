"""Evaluation on a cluster of threads, against the evaluation in one process."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
from distributed import LocalCluster

import runtime.distributed.cluster as cluster_module
import runtime.distributed.evaluation as under_test
from runtime.core.errors import ClusterError, ConfigError, ImageError
from runtime.core.progress import Progress
from runtime.distributed.evaluation import EvaluationJob, evaluated
from runtime.distributed.tasks import run_tasks
from runtime.scoring.evaluation_run import EvaluationSettings
from runtime.scoring.files import evaluate_files
from runtime.scoring.results import EvaluationReport, write_report, write_samples
from runtime.scoring.scorer import Scorer
from tests.support.model_builder import ModelBuilder
from tests.support.thread_cluster import killed_worker, thread_cluster

SETTINGS = EvaluationSettings(size=(32, 32), skip_unreadable=True, threads=1)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with thread_cluster(3) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def data(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "data"))


@pytest.fixture
def job(build_onnx: ModelBuilder, data: Path, tmp_path: Path) -> EvaluationJob:
    model = build_onnx(tmp_path / "m.onnx")
    under_test._open.cache_clear()
    return EvaluationJob((str(model),), str(data), SETTINGS, str(tmp_path / "parts"), shard_size=1)


def written(report: EvaluationReport, folder: Path) -> tuple[bytes, bytes]:
    folder.mkdir()
    write_report(folder / "r.json", report)
    write_samples(folder / "r.csv", report)
    return (folder / "r.json").read_bytes(), (folder / "r.csv").read_bytes()


def alone(job: EvaluationJob, folder: Path) -> tuple[bytes, bytes]:
    report = evaluate_files(job.models, job.data, size=(32, 32), skip_unreadable=True, threads=1)
    return written(report, folder)


def images(data: Path) -> list[Path]:
    return sorted((data / "test").glob("*.png"))


def closing(cluster: LocalCluster) -> Callable[[Progress], None]:
    """Return a progress callback that closes a cluster."""

    def close(progress: Progress) -> None:
        cluster.close()

    return close


@pytest.mark.parametrize("shard_size", [1, 3])
def test_the_results_are_those_of_one_process(
    scheduler: str, job: EvaluationJob, data: Path, tmp_path: Path, shard_size: int
) -> None:
    images(data)[1].write_bytes(b"no image")
    seen: list[Progress] = []
    with evaluated(scheduler, replace(job, shard_size=shard_size), seen.append) as report:
        assert written(report, tmp_path / "cluster") == alone(job, tmp_path / "alone")
    assert seen[-1] == Progress(4, 4, "score")
    assert list(Path(job.parts).iterdir()) == []


def test_a_second_run_computes_what_the_first_left(
    scheduler: str, job: EvaluationJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts: list[int] = []

    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), evaluated(scheduler, job, stop):
        pass
    (folder,) = Path(job.parts).iterdir()
    done = {int(path.name.split("-")[1]) for path in folder.glob("part-*.json")}
    part = Scorer.part

    def counted(scorer: Scorer, samples: Any, start: int, *rest: Any) -> Any:
        starts.append(start)
        return part(scorer, samples, start, *rest)

    monkeypatch.setattr(Scorer, "part", counted)
    with evaluated(scheduler, job) as report:
        found = written(report, tmp_path / "cluster")
    assert len(done) >= 2
    assert not done & set(starts)
    monkeypatch.undo()
    assert found == alone(job, tmp_path / "alone")


def test_an_image_that_ends_its_workers_is_named_and_set_aside(
    scheduler: str, job: EvaluationJob, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly, part = images(data)[2], Scorer.part

    def dying(scorer: Scorer, samples: Any, *rest: Any) -> Any:
        if any(sample.path == deadly for sample in samples):
            raise killed_worker("score")
        return part(scorer, samples, *rest)

    monkeypatch.setattr(Scorer, "part", dying)
    reason = f"{deadly}: ended its worker process 3 times"
    with evaluated(scheduler, replace(job, shard_size=4)) as report:
        assert [image.reason for image in report.skipped] == [reason]
        assert len(report.models[0].evaluation.samples) == 3
    stopping = replace(job, settings=replace(SETTINGS, skip_unreadable=False))
    with pytest.raises(ImageError, match=reason), evaluated(scheduler, stopping):
        pass


def test_a_worker_that_sees_another_file_is_refused_by_name(
    scheduler: str, job: EvaluationJob, build_onnx: ModelBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(job.models[0])

    def swapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        build_onnx(model, activation="HardSigmoid")
        return run_tasks(*args, **kwargs)

    monkeypatch.setattr(under_test, "run_tasks", swapped)
    message = rf"^the worker inproc://\S+: the digest of {model} is \w+, and \w+ elsewhere$"
    with pytest.raises(ConfigError, match=message), evaluated(scheduler, job):
        pass


def test_a_worker_that_does_not_see_the_images_is_refused_and_none_is_skipped(
    scheduler: str, job: EvaluationJob, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmounted(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for image in images(data):
            image.unlink()
        monkeypatch.setattr(Path, "is_dir", lambda path: False)
        return run_tasks(*args, **kwargs)

    monkeypatch.setattr(under_test, "run_tasks", unmounted)
    message = rf"^the worker inproc://\S+: {data / 'test'}: no such folder$"
    with pytest.raises(ConfigError, match=message), evaluated(scheduler, job):
        pass


def test_a_path_that_workers_do_not_see_is_named_with_the_worker(
    scheduler: str, job: EvaluationJob
) -> None:
    for lost in (replace(job, models=("gone.onnx",)), replace(job, data="/gone/data")):
        message = r"^the worker inproc://\S+: \S*gone\S*: .*no such"
        with pytest.raises(ConfigError, match=message), evaluated(scheduler, lost):
            pass


def test_parts_of_other_settings_are_not_taken(job: EvaluationJob) -> None:
    changes: list[dict[str, Any]] = [
        {}, {"size": (16, 16)}, {"masks": "boxes"}, {"baselines": False},
        {"skip_unreadable": False},
    ]  # fmt: skip
    jobs = [replace(job, settings=replace(SETTINGS, **change)) for change in changes]
    folders = [under_test._plan(each) for each in jobs]
    assert len(set(folders)) == len(changes)
    assert under_test._plan(job) == folders[0]


def test_the_scheduler_goes_away(job: EvaluationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_ANSWER_S", 2.0)
    message = r"^inproc://\S+: the scheduler went away; the same command goes on from the finished"
    with (
        thread_cluster(1) as cluster,
        pytest.raises(ClusterError, match=message),
        evaluated(cluster.scheduler_address, job, closing(cluster)),
    ):
        pass
    (folder,) = Path(job.parts).iterdir()
    assert any(folder.glob("part-*.json"))


def test_a_killed_process_changes_nothing(
    job: EvaluationJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int | None] = []
    addresses: list[str] = []
    check = cluster_module._check_workers

    def noted(client: Any, packages: Any) -> None:
        addresses.append(client.scheduler.address)
        check(client, packages)

    monkeypatch.setattr(cluster_module, "_check_workers", noted)

    def kill(progress: Progress) -> None:
        if not killed:
            worker = multiprocessing.active_children()[0]
            worker.kill()
            killed.append(worker.pid)

    with evaluated("local:2", job, kill) as report:
        assert written(report, tmp_path / "cluster") == alone(job, tmp_path / "alone")
    assert killed
    assert addresses[0].startswith("tls://127.0.0.1:")  # nobody without the keys gives orders
