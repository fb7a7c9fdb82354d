"""Training as a step of a schedule."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from bench.schedule import Schedule
from bench.training import epoch_seconds, epochs_done, measure_cost, train_step
from export.conversion import expected_seconds
from runtime.core.errors import DataError
from runtime.core.progress import Progress
from runtime.data.coco import read_dataset
from train.config import TrainConfig, demo_config
from train.network import make_network


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=4, threads=1)


def test_a_resumed_run_counts_what_is_left_of_it(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def train_network(config: TrainConfig, folder: Path, **settings: Any) -> None:
        asked.append({"config": config, "folder": folder, **settings})
        settings["on_progress"](Progress(3, 20, "decode"))
        for done in (5, 6, 8):  # of 8 steps in 4 epochs, 2 of which were trained before
            settings["on_progress"](Progress(done, 8, "train", f"step {done}"))
        settings["on_progress"](Progress(8, 8, "train", "epoch 4/4", milestone=True))

    monkeypatch.setattr("bench.training.train_network", train_network)
    (tmp_path / "history.csv").write_text("epoch,seconds\n1,2.5\n2,2.0\n")
    assert epoch_seconds(tmp_path) == [2.5, 2.0]
    assert epochs_done(tmp_path) == 2
    assert epochs_done(tmp_path / "none") == 0
    seen: list[Progress] = []
    schedule = Schedule(seen.append, clock=lambda: 0.0)
    schedule.add("train", 100.0)
    schedule.start("train")
    data = read_dataset(config.data)
    train_step(config, tmp_path, tmp_path / "cache", schedule, data)
    assert [(p.note, p.milestone) for p in seen[1:]] == [
        ("step 5", False), ("step 6", False), ("step 8", False), ("epoch 4/4", True),
    ]  # fmt: skip
    # By a clock that stands, 20 of 100 s were expected; a quarter of the work weighs as much more.
    assert [p.total for p in seen[1:]] == pytest.approx(
        [20 / (f + 0.2) * (1 - f) for f in (0.25, 0.5, 1.0, 1.0)]
    )
    (call,) = asked
    assert (call["config"], call["folder"], call["cache"]) == (
        config, tmp_path, tmp_path / "cache"
    )  # fmt: skip
    assert call["resume"] is True
    assert call["dataset"] is data  # it is not read again for each network
    assert call["stop"] == schedule.stop


@pytest.mark.parametrize(
    "content", [b"epoch\n1\n", b"epoch,seconds\n1\n", b"seconds\nx\n", b"\xff"]
)
def test_a_damaged_history_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"history\.csv: not the history of a training$"):
        epochs_done(tmp_path)


def test_the_estimate_is_the_time_of_an_image_in_the_shorter_step(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 6.0, 10.0, 12.0])
    monkeypatch.setattr("bench.training.perf_counter", lambda: next(times))
    cost = measure_cost(config)
    assert cost.image_s == 2.0 / 4  # of four images
    assert cost.conversion_s == expected_seconds([make_network("scratch", 2, 16)])
