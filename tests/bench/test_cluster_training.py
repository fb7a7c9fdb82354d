"""Trainings on a cluster of one thread: progress, a stop, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("distributed")
from click.testing import CliRunner

from bench import cluster_training
from bench.cli import main as seg_bench
from bench.cluster_training import train_on_cluster
from bench.schedule import Schedule
from bench.study.config import StudyConfig
from bench.study.run import run_study
from bench.training import TrainingTask, epochs_done
from runtime.core.errors import ConfigError, NonFiniteLossError, StoppedError, TrainingError
from runtime.core.progress import Progress
from tests.support.study_fixture import SMALL
from tests.support.thread_cluster import killed_worker, thread_cluster
from train.checkpoint import load_checkpoint
from train.config import TrainConfig, demo_config
from train.run import train_network


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with thread_cluster(1) as cluster:
        yield cluster.scheduler_address


pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_training, "_EVERY_S", 0.01)


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=3, threads=1)


@pytest.fixture
def tasks(config: TrainConfig, tmp_path: Path) -> list[TrainingTask]:
    return [
        TrainingTask(f"train {seed}", replace(config, seed=seed), tmp_path / str(seed), tmp_path)
        for seed in (0, 1)
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt").weights


def assert_trained_alone(task: TrainingTask, tmp_path: Path) -> None:
    train_network(task.config, tmp_path / "alone", cache=task.cache, overwrite=True)
    alone = weights(tmp_path / "alone")
    for name, value in weights(task.folder).items():
        assert torch.equal(value, alone[name]), name


def test_stopped_trainings_are_resumed_to_the_same_weights(
    scheduler: str, tasks: list[TrainingTask], tmp_path: Path
) -> None:
    seen: list[Progress] = []

    def is_halfway() -> bool:
        return any("epoch 2/3" in progress.note for progress in seen)

    schedule = Schedule(seen.append, is_halfway)
    schedule.add("train 0", 3.0)
    schedule.add("train 1", 3.0)
    with pytest.raises(StoppedError, match=r"^stopped at: train the networks on the cluster;"):
        train_on_cluster(scheduler, tasks, schedule)
    assert 0 <= epochs_done(tasks[1].folder) < 3
    train_on_cluster(scheduler, tasks, Schedule())
    for task in tasks:
        assert epochs_done(task.folder) == 3
        assert_trained_alone(task, tmp_path)
    assert any("of 2 trained; train " in progress.note for progress in seen)


def test_finished_trainings_need_no_cluster(
    tasks: list[TrainingTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_training, "epochs_done", lambda folder: 3)
    train_on_cluster("tcp://127.0.0.1:1", tasks, Schedule())


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (NonFiniteLossError("the loss is nan"), NonFiniteLossError, "^the loss is nan$"),
        (killed_worker("train"), TrainingError, r"/1: ended its worker process 3 times$"),
    ],
)
def test_a_training_that_fails_stops_the_others_and_is_named(
    scheduler: str,
    tasks: list[TrainingTask],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[Exception],
    message: str,
) -> None:
    def train(config: TrainConfig, folder: Path, *, stop: Any, **rest: Any) -> None:
        if config.seed == 1:
            raise error
        while not stop():
            pass
        raise StoppedError("stopped")

    monkeypatch.setattr(cluster_training, "train_network", train)
    with pytest.raises(kind, match=message):
        train_on_cluster(scheduler, tasks[::-1], Schedule())


def test_workers_with_several_threads_or_without_a_gpu_are_refused(
    scheduler: str, tasks: list[TrainingTask]
) -> None:
    with (
        thread_cluster(1, threads=2) as cluster,
        pytest.raises(ConfigError, match=r"^the worker \S+ trains 2 networks at once; start it"),
    ):
        train_on_cluster(cluster.scheduler_address, tasks, Schedule())
    on_gpu = [replace(task, config=replace(task.config, device="cuda")) for task in tasks]
    with pytest.raises(ConfigError, match=r"^no worker has a GPU; start those that do with"):
        train_on_cluster(scheduler, on_gpu, Schedule())


def test_threads_must_be_stated(tmp_path: Path) -> None:
    found = CliRunner().invoke(seg_bench, ["sweep", "--scheduler", "local:2"])
    assert found.exit_code == 2
    assert "Error: --scheduler needs --threads, those of each training\n" in found.output


def test_a_study_hands_all_its_trainings_over(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[TrainingTask]]] = []

    def hand_over(scheduler: str, tasks: list[TrainingTask], _schedule: Schedule) -> None:
        asked.append((scheduler, tasks))
        raise StoppedError("the trainings are not this test's")

    monkeypatch.setattr(cluster_training, "train_on_cluster", hand_over)
    config = StudyConfig(
        str(phantom),
        preset="demo",
        networks=("scratch", "scratch-dice", "ensemble"),
        splits=("original",),
        changes=SMALL,
        seeds=2,
        threads=1,
    )
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        run_study(config, out, cache=tmp_path / "c", command="", scheduler="tcp://cluster:1")
    ((scheduler, tasks),) = asked
    assert scheduler == "tcp://cluster:1"
    assert [(task.step, task.config.seed, task.folder) for task in tasks] == [
        (f"train {name}, original, seed {seed}", seed, out / f"original/seed-{seed}/unet-{file}")
        for seed in (0, 1)
        for name, file in (("scratch", "scratch-w4"), ("scratch-dice", "scratch-w4-dice"))
    ]
