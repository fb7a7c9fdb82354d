import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

from runtime.coco import Dataset
from runtime.errors import ConfigError, NonFiniteLossError, OutputError
from train.checkpoint import build_network, load_checkpoint
from train.config import TrainConfig, demo_config
from train.data import Batches, decode_split
from train.epoch import Progress
from train.history import EpochRow
from train.loop import make_scheduler, train_network


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=3, threads=1)


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt").weights


def assert_same_weights(one: Path, two: Path) -> None:
    first, second = final_weights(one), final_weights(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_loss_falls_and_the_results_are_there(config: TrainConfig, tmp_path: Path) -> None:
    steps: list[Progress] = []
    result = train_network(config, tmp_path / "run", cache=tmp_path / "c", listener=steps.append)
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert {path.name for path in result.folder.iterdir()} == {
        "best.pt", "last.pt", "history.csv", "curves.png", "config.json"
    }  # fmt: skip
    rows = list(csv.DictReader((result.folder / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == [field.name for field in fields(EpochRow)]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    with Image.open(result.folder / "curves.png") as picture:
        assert picture.size[0] > 500
    trained = [step for step in steps if step.phase == "train"]
    assert trained[-1].done == trained[-1].total == len(trained)


def test_the_same_seed_gives_the_same_weights_and_another_others(
    config: TrainConfig, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_network(replace(config, seed=seed), tmp_path / name, cache=tmp_path / "cache")
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    a, c = final_weights(tmp_path / "a"), final_weights(tmp_path / "c")
    assert not torch.equal(a["head.weight"], c["head.weight"])


def test_a_run_leaves_the_callers_random_state_and_threads_alone(
    config: TrainConfig, tmp_path: Path
) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train_network(replace(config, epochs=1), tmp_path / "run", cache=tmp_path / "cache")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_validation_row_is_what_the_saved_network_gives(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    result = train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    network = build_network(load_checkpoint(result.folder / "last.pt"), "last.pt")
    decoded = decode_split(phantom_data.split("valid"), 16, "boxes", tmp_path / "cache")
    batches = Batches(decoded, 1, torch.device("cpu"))
    losses, ious = [], []
    for images, masks in batches.load(batches.indices()):
        with torch.no_grad():
            logits = network(images)
        p, y = torch.sigmoid(logits).double(), masks.double()
        losses.append(float(binary_cross_entropy_with_logits(logits, masks)))
        ious.append(float((y * p).sum() / (y + p - y * p).sum()))
    assert result.history[-1].valid_loss == pytest.approx(np.mean(losses), abs=1e-6)
    assert result.history[-1].valid_iou == pytest.approx(np.mean(ious), abs=1e-6)


def test_the_best_checkpoint_has_the_lowest_validation_loss(
    config: TrainConfig, tmp_path: Path
) -> None:
    # A rate this high makes the validation loss jump up and down.
    result = train_network(
        replace(config, learning_rate=0.3, epochs=5), tmp_path / "run", cache=tmp_path / "cache"
    )
    losses = [row.valid_loss for row in result.history]
    assert load_checkpoint(result.best).epoch == 1 + losses.index(min(losses))
    assert losses.index(min(losses)) < 4


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_network(config, whole, cache=tmp_path / "cache")
    train_network(replace(config, epochs=1), parts, cache=tmp_path / "cache", resume=True)
    result = train_network(config, parts, cache=tmp_path / "cache", resume=True)
    assert_same_weights(whole, parts)
    assert [row.epoch for row in result.history] == [1, 2, 3]
    assert json.loads((parts / "config.json").read_text())["epochs"] == 3


def test_a_killed_run_ends_as_an_uninterrupted_one(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=12)
    code = (
        "import sys\nfrom train.config import demo_config\nfrom train.loop import train_network\n"
        f"config = demo_config({config.data!r}, 'scratch', width=2, size=16, epochs=12, "
        "threads=1)\n"
        f"train_network(config, sys.argv[1], cache={str(tmp_path / 'cache')!r})\n"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, str(killed)])
    deadline = time.monotonic() + 120
    while not (killed / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_checkpoint(killed / "last.pt").epoch < 12
    train_network(config, killed, cache=tmp_path / "cache", resume=True)
    train_network(config, tmp_path / "whole", cache=tmp_path / "cache")
    assert_same_weights(killed, tmp_path / "whole")


def test_a_run_is_replaced_only_when_asked(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=1)
    train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(OutputError, match=r"run: .*--resume, --overwrite or another --out"):
        train_network(replace(config, seed=1), tmp_path / "run", cache=tmp_path / "cache")
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    train_network(
        replace(config, seed=1), tmp_path / "run", cache=tmp_path / "cache", overwrite=True
    )
    assert (tmp_path / "run" / "last.pt").read_bytes() != before


def test_a_run_is_not_resumed_as_another(
    config: TrainConfig, phantom: Path, tmp_path: Path
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train_network(replace(config, epochs=2), run, cache=cache)
    with pytest.raises(
        ConfigError, match=r"last\.pt: expected a run with seed 5, found one with 0"
    ):
        train_network(replace(config, seed=5), run, cache=cache, resume=True)
    with pytest.raises(ConfigError, match=r"last\.pt: expected at most 1 epochs, found 2"):
        train_network(replace(config, epochs=1), run, cache=cache, resume=True)
    other = tmp_path / "other"
    shutil.copytree(phantom, other)
    picture = next((other / "train").glob("*.png"))
    shutil.copyfile(next((other / "test").glob("*.png")), picture)
    with pytest.raises(ConfigError, match=r"last\.pt: expected a run on the same data"):
        train_network(replace(config, data=str(other)), run, cache=cache, resume=True)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_loss_that_is_not_finite_names_epoch_step_and_images(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    load = Batches.load
    own = {path.name for path in (Path(config.data) / split).glob("*.png")}

    def poisoned(
        self: Batches, batches: list[NDArray[np.int64]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step, (images, masks) in enumerate(load(self, batches)):
            poison = step == 1 and self.names[0] in own
            yield (images * float("nan") if poison else images), masks

    monkeypatch.setattr(Batches, "load", poisoned)
    config = replace(config, batch_size=2)
    where = "epoch 1, step 2: " if split == "train" else "validation of epoch 1, step 2: "
    with pytest.raises(NonFiniteLossError, match=f"^{where}.*found nan on ") as caught:
        train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    named = str(caught.value).split("images ")[1].split(", ")
    assert len(named) == config.batch_size
    assert set(named) <= own
    assert not (tmp_path / "run" / "last.pt").exists()


def test_the_learning_rate_falls_after_three_epochs_without_a_lower_loss(
    config: TrainConfig,
) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make_scheduler(optimiser, config)
    rates = []
    for loss in (5.0, 4.0, 4.0, 4.5, 4.1, 3.9, 3.8999, 4.0, 4.0, 4.0):
        scheduler.step(loss)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 4 + [0.1, 0.01])


def test_a_missing_cuda_device_is_named(config: TrainConfig, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match="device cuda: expected a CUDA device, found none"):
        train_network(replace(config, device="cuda"), tmp_path / "run", cache=tmp_path / "cache")


def test_bf16_trains_on_the_cpu_too(config: TrainConfig, tmp_path: Path) -> None:
    result = train_network(
        replace(config, precision="bf16"), tmp_path / "run", cache=tmp_path / "cache"
    )
    assert result.history[-1].train_loss < result.history[0].train_loss


def test_a_cuda_device_gives_about_the_same(config: TrainConfig, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    results = [
        train_network(replace(config, device=device), tmp_path / device, cache=tmp_path / "cache")
        for device in ("cpu", "cuda")
    ]
    first, second = (result.history[-1].valid_loss for result in results)
    assert first == pytest.approx(second, rel=0.1)


def test_a_read_only_folder_is_named_before_anything_is_trained(
    config: TrainConfig, tmp_path: Path
) -> None:
    if os.geteuid() == 0:
        (tmp_path / "run").write_text("in the folder's place")
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        train_network(config, tmp_path / "run", cache=tmp_path.parent / "cache")
