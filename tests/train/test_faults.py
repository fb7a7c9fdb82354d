"""A run that is killed, stopped, or out of space: nothing is lost, and nothing else is trained.

With `--long` there are more moments to be killed at, which `make faults` asks for.
"""

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from runtime.core.errors import CheckpointError, OutputError, StoppedError
from runtime.core.files import write_bytes
from runtime.core.lock import locked
from runtime.core.progress import Progress
from tests.support.forked_training import AFTER, BEFORE, HALF, Trainings
from tests.support.small_backbones import use_small_backbones
from tests.support.small_disk import enlarge, small_disk
from train.checkpoint import build_network, checkpoint_bytes, load_checkpoint
from train.cli import main as train_unet
from train.config import TrainConfig, study_config
from train.epoch import EpochMeans, validate
from train.network import UNet
from train.run import train_network

EPOCHS, STEPS = 2, 4
TIMES = {"seconds", "images_per_s"}


@pytest.fixture(scope="module")
def trainings() -> Iterator[Trainings]:
    with Trainings() as server:
        yield server


@pytest.fixture(scope="module")
def arguments(phantom: Path) -> list[object]:
    return [
        "--data", phantom, "--width", 2, "--size", 16, "--epochs", EPOCHS, "--batch-size", 4,
        "--threads", 1, "--augment",
    ]  # fmt: skip


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return study_config(
        str(phantom), "scratch", width=2, size=16, epochs=EPOCHS, batch_size=4, threads=1,
        augment=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(
    trainings: Trainings, arguments: list[object], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    code, output = trainings.run([*arguments, "--out", folder / "run", "--cache", folder / "cache"])
    assert code == 0, output
    return folder / "run"


def assert_whole(folder: Path) -> None:
    """Whatever a reader finds in a folder at this moment is a whole file."""
    for path in folder.rglob("*"):
        if any(part.startswith((".writing-", ".lock")) for part in path.parts):
            continue  # what no reader looks for
        if path.suffix == ".pt":
            load_checkpoint(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            *lines, end = path.read_text().split("\n")
            assert len({line.count(",") for line in lines}) == 1
            assert end == ""
        elif path.suffix == ".npy":
            np.load(path)


def assert_same_run(run: Path, other: Path) -> None:
    """Both have the same weights, to the bit, and whatever else does not tell the time."""
    assert {path.name for path in run.iterdir()} == {path.name for path in other.iterdir()}
    for name in ("last.pt", "best.pt"):
        one, two = load_checkpoint(run / name), load_checkpoint(other / name)
        assert one.weights.keys() == two.weights.keys()
        for key, value in one.weights.items():
            assert torch.equal(value, two.weights[key]), key
        without_times = [
            [replace(row, seconds=0.0, images_per_s=0.0) for row in found.history]
            for found in (one, two)
        ]
        # As text, since a NaN is not equal to itself.
        assert repr(without_times[0]) == repr(without_times[1])
        assert (one.steps, two.steps, one.config) == (None, None, two.config)
    moments = [load_checkpoint(folder / "last.pt").optimizer for folder in (run, other)]
    for first, second in zip(*(m["state"].values() for m in moments if m), strict=True):
        assert all(torch.equal(first[key], second[key]) for key in first)
    tables = []
    for folder in (run, other):
        rows = csv.DictReader((folder / "history.csv").read_text().splitlines())
        tables.append([{k: v for k, v in row.items() if k not in TIMES} for row in rows])
    assert tables[0] == tables[1]
    assert json.loads((run / "config.json").read_text()) == json.loads(
        (other / "config.json").read_text()
    )


def assert_goes_on(
    trainings: Trainings, arguments: list[object], folder: Path, whole: Path, curves: bool = True
) -> None:
    """What is left after a fault is whole, and the run ends from there as if nothing had been."""
    assert_whole(folder)
    again = [*arguments, "--out", folder / "run", "--cache", folder / "cache", "--resume"]
    code, output = trainings.run(again, curves=curves)
    assert code == 0, output
    if not curves:
        shutil.copyfile(whole / "curves.png", folder / "run" / "curves.png")
    assert_same_run(folder / "run", whole)


def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(
    trainings: Trainings, arguments: list[object], whole: Path, tmp_path: Path, long: bool,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    wanted = 50 if long else 2
    start = time.monotonic()
    trial = ["--out", tmp_path / "timed", "--cache", tmp_path / "timed-cache"]
    trainings.run([*arguments, *trial], curves=False)
    duration = time.monotonic() - start
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    epochs: list[int] = []
    runs = 0
    while len(epochs) < wanted:
        assert runs < 10 * wanted, "the runs end before they can be killed"
        folder = tmp_path / str(runs)
        folder.mkdir()
        first = [*arguments, "--out", folder / "run", "--cache", folder / "cache"]
        delay = float(rng.uniform(0.0, duration))
        code, output = trainings.run(first, signals=[(delay, signal.SIGKILL)], curves=long)
        runs += 1
        if code == 0:
            continue
        assert code == -signal.SIGKILL, output
        last = folder / "run" / "last.pt"
        epochs.append(load_checkpoint(last).epoch if last.exists() else 0)
        assert_goes_on(trainings, arguments, folder, whole, curves=long)
        shutil.rmtree(folder)
    report(
        f"{wanted} runs were killed by kill -9 at a random moment of their {duration:.2f} s, "
        f"{[epochs.count(n) for n in range(EPOCHS + 1)]} of them after 0, 1, 2 whole epochs; "
        "all went on to the weights of the uninterrupted run"
    )


def test_a_run_killed_at_a_write_resumes_to_the_same_weights(
    trainings: Trainings, arguments: list[object], whole: Path, tmp_path: Path, long: bool,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    # The writes: two cache folders (renamed only), config.json, best.pt and last.pt, history.csv;
    # best.pt, if it is better, last.pt and history.csv in each later epoch; what ends a run.
    # After the first epoch, first-batch.png and the predictions follow.
    losses = [row.valid_loss for row in load_checkpoint(whole / "last.pt").history]
    better = sum(loss < min(losses[:n], default=np.inf) for n, loss in enumerate(losses))
    of_the_last_epoch = 3 + better + 2 * EPOCHS - 1
    moments = [(2, HALF), (6, HALF), (4, AFTER), (7, BEFORE), (of_the_last_epoch, AFTER)]
    if long:
        moments = [(write, how) for how in (HALF, BEFORE, AFTER) for write in range(1, 16)]
    killed = 0
    for write, how in moments:
        folder = tmp_path / f"{write}-{how}"
        first = [*arguments, "--out", folder / "run", "--cache", folder / "cache"]
        code, output = trainings.run(first, kill_at=(write, how), curves=long)
        if code == 0 and long:
            continue  # it has not as many writes
        assert code == -signal.SIGKILL, (write, how, output)
        killed += 1
        assert_goes_on(trainings, arguments, folder, whole, curves=long)
    assert killed >= (24 if long else len(moments))
    report(f"{killed} runs were killed at a write, in its middle, before or after renaming")


def test_a_run_in_bf16_killed_at_a_write_resumes_to_the_same_weights(
    trainings: Trainings, arguments: list[object], tmp_path: Path
) -> None:
    """Of what AMX computes; PyTorch computes bf16 on any processor, if more slowly."""
    in_bf16 = [*arguments, "--precision", "bf16"]
    paths = {name: tmp_path / name for name in ("whole", "killed")}
    started = {
        name: [*in_bf16, "--out", path / "run", "--cache", path / "cache"]
        for name, path in paths.items()
    }
    for path in paths.values():
        path.mkdir()
    code, output = trainings.run(started["whole"], curves=False)
    assert code == 0, output
    code, output = trainings.run(started["killed"], kill_at=(6, AFTER), curves=False)
    assert code == -signal.SIGKILL, output
    assert load_checkpoint(paths["killed"] / "run" / "last.pt").epoch == 1
    code, output = trainings.run([*started["killed"], "--resume"], curves=False)
    assert code == 0, output
    one, two = (load_checkpoint(path / "run" / "last.pt") for path in paths.values())
    assert one.config.precision == "bf16"
    assert all(torch.equal(value, two.weights[key]) for key, value in one.weights.items())


class StopAt:
    """True from the nth time on that it is asked."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


# Asked after each of four steps, before validation, and after its one batch.
@pytest.mark.parametrize("asked", [1, STEPS, STEPS + 1, STEPS + 2, STEPS + 4, EPOCHS * (STEPS + 2)])
def test_a_stopped_run_resumes_in_the_middle_of_its_epoch(
    config: TrainConfig,
    whole: Path,
    tmp_path: Path,
    asked: int,
) -> None:
    run, cache = tmp_path / "run", whole.parent / "cache"
    epoch, step = 1 + (asked - 1) // (STEPS + 2), min(STEPS, 1 + (asked - 1) % (STEPS + 2))
    where = f"run: stopped after step {step} of {STEPS} in epoch {epoch}; "
    with pytest.raises(StoppedError, match=where):
        train_network(config, run, cache=cache, stop=StopAt(asked))
    stopped = load_checkpoint(run / "last.pt")
    assert stopped.steps is not None
    assert (stopped.epoch, stopped.started, len(stopped.steps.losses)) == (epoch - 1, epoch, step)
    assert not list(run.glob(".*"))
    seen: list[Progress] = []
    train_network(config, run, cache=cache, resume=True, on_progress=seen.append)
    shutil.copyfile(whole / "curves.png", run / "curves.png")
    assert_same_run(run, whole)
    steps = [step for step in seen if not (step.milestone or step.note.endswith("validation"))]
    assert len(steps) == EPOCHS * STEPS - (epoch - 1) * STEPS - step


def test_a_run_stopped_again_and_again_ends_as_one_that_was_not(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_backbones(monkeypatch)
    with torch.random.fork_rng():
        weights = UNet("resnet34", 2).encoder.backbone
    assert isinstance(weights, torch.nn.Module)
    torch.save(weights.state_dict(), tmp_path / "weights.pth")
    config = replace(
        config, epochs=2, arch="resnet34", size=32, freeze_encoder=True, unfreeze_epoch=2,
        encoder_weights=str(tmp_path / "weights.pth"),
    )  # fmt: skip
    parts, cache = tmp_path / "parts", tmp_path / "cache"
    train_network(config, tmp_path / "whole", cache=cache)
    stops = 0
    while True:
        try:
            train_network(config, parts, cache=cache, resume=True, stop=StopAt(3))
            break
        except StoppedError:
            stops += 1
    assert stops == 4  # after three steps, after validation's batch, and in epoch 2 again
    assert_same_run(parts, tmp_path / "whole")


def test_a_network_from_the_middle_of_an_epoch_is_not_taken_for_a_trained_one(
    config: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train_network(config, tmp_path / "run", cache=tmp_path / "cache", stop=StopAt(22))
    stopped = load_checkpoint(tmp_path / "run" / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt: .*found one in the middle of epoch 1"):
        build_network(stopped, tmp_path / "run" / "last.pt")
    assert stopped.steps is not None
    for damage in ({"random": ()}, {"losses": torch.zeros(2, 2)}, {"sums": None}):
        odd = replace(stopped, steps=replace(stopped.steps, **damage))
        write_bytes(tmp_path / "odd.pt", checkpoint_bytes(odd))
        with pytest.raises(CheckpointError, match=r"odd\.pt: invalid `steps` of an epoch"):
            load_checkpoint(tmp_path / "odd.pt")


def test_a_run_stopped_while_it_decodes_has_written_nothing(
    config: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError, match="run: stopped before the first step"):
        train_network(config, tmp_path / "run", cache=tmp_path / "cache", stop=StopAt(3))
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").iterdir())


def test_signals_stop_the_command_with_a_checkpoint(
    trainings: Trainings, arguments: list[object], whole: Path, tmp_path: Path
) -> None:
    run = [*arguments, "--cache", tmp_path / "cache", "--out", tmp_path / "run"]
    # The second write ends decoding, and in the resumed run it is one of those that end epoch 1.
    for number, write, extra in ((signal.SIGTERM, 2, []), (signal.SIGINT, 2, ["--resume"])):
        code, output = trainings.run([*run, *extra], signal_at=(write, number))
        assert code == 128 + number, output
        assert f"Error: {tmp_path / 'run'}: stopped after step " in output
        assert "Traceback" not in output
        assert load_checkpoint(tmp_path / "run" / "last.pt").steps is not None
    assert_goes_on(trainings, arguments, tmp_path, whole, curves=False)


def test_a_folder_serves_one_run_at_a_time(config: TrainConfig, tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    refused: list[str] = []

    def begin_another(step: Progress) -> None:
        if step.phase == "train" and not refused:
            for choice in ({"resume": True}, {"overwrite": True}, {}):
                with pytest.raises(OutputError) as caught:
                    train_network(config, run, cache=cache, **choice)  # type: ignore[arg-type]
                refused.append(str(caught.value))

    train_network(replace(config, epochs=1), run, cache=cache, on_progress=begin_another)
    words = f"{run}: another run is using this folder (process {os.getpid()} on "
    assert len(refused) == 3
    assert all(message.startswith(words) for message in refused)
    assert not (run / ".lock").exists()


def test_a_folder_that_has_a_run_and_one_at_work_names_the_one_at_work(
    config: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "last.pt").touch()
    words = rf"another run is using this folder \(process {os.getpid()} on "
    with locked(tmp_path), pytest.raises(OutputError, match=words):
        train_network(config, tmp_path, cache=tmp_path / "cache")
    with pytest.raises(OutputError, match="give --resume, --overwrite or another --out"):
        train_network(config, tmp_path, cache=tmp_path / "cache")


def test_best_states_the_epochs_that_were_trained_even_where_none_was_better(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train_network(replace(config, epochs=1), run, cache=cache)

    def worse(*arguments: Any, **settings: Any) -> EpochMeans:
        found = validate(*arguments, **settings)
        assert found is not None
        return replace(found, loss=found.loss + 10.0)

    monkeypatch.setattr("train.run.validate", worse)
    train_network(replace(config, epochs=3), run, cache=cache, resume=True)
    best = load_checkpoint(run / "best.pt")
    assert (best.epoch, best.config.epochs) == (1, 3)


def test_a_missing_best_network_is_reported_before_hours_of_training(
    config: TrainConfig, tmp_path: Path
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train_network(replace(config, epochs=1), run, cache=cache)
    (run / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=r"best\.pt: the run's best network is missing"):
        train_network(config, run, cache=cache, resume=True)


def test_a_stopped_run_that_replaces_another_leaves_nothing_of_it(
    config: TrainConfig, tmp_path: Path
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    train_network(replace(config, epochs=1), run, cache=cache)
    with pytest.raises(StoppedError):
        train_network(replace(config, seed=1), run, cache=cache, overwrite=True, stop=StopAt(1))
    assert {path.name for path in run.iterdir()} == {"config.json", "last.pt"}
    assert json.loads((run / "config.json").read_text())["seed"] == 1


def test_weights_that_run_away_are_reported_with_step_and_images(
    arguments: list[object], tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "run", "--cache", tmp_path / "cache", "--learning-rate", "1e30"]
    result = CliRunner().invoke(train_unet, [str(argument) for argument in [*arguments, *out]])
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert "Error: epoch 1, step 2: expected a finite loss, found nan on the images person" in line
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.parametrize("what", ["run", "cache"])
def test_a_disk_that_fills_ends_a_run_at_any_write_and_loses_nothing(
    trainings: Trainings,
    arguments: list[object],
    whole: Path,
    tmp_path: Path,
    long: bool,
    report: Callable[[str], None],
    what: str,
) -> None:
    sizes = {"run": [4, 160, 1000], "cache": [4, 12]}[what]
    if long:
        sizes = {"run": range(4, 1104, 50), "cache": range(4, 40, 4)}[what]  # type: ignore[assignment]
    failed = 0
    for size in sizes:
        folder = tmp_path / str(size)
        with small_disk(folder, size) as disk:
            elsewhere = tmp_path / f"{size}-elsewhere"
            places = {"run": elsewhere, "cache": elsewhere, what: disk}
            run = [*arguments, "--out", places["run"] / "run", "--cache", places["cache"] / "cache"]
            code, output = trainings.run(run, curves=long)
            if code:
                failed += 1
                assert code == 2, output
                (line,) = [line for line in output.splitlines() if line.startswith("Error: ")]
                assert line.startswith(f"Error: {disk}")
                assert line.endswith("cannot be written: no space left on device")
                assert "Traceback" not in output
            for place in places.values():
                assert_whole(place) if place.exists() else None
                assert not list(place.rglob(".writing-*"))
            enlarge(disk, 8000)
            code, output = trainings.run([*run, "--resume"], curves=long)
            assert code == 0, output
            if not long:
                shutil.copyfile(whole / "curves.png", places["run"] / "run" / "curves.png")
            assert_same_run(places["run"] / "run", whole)
    assert failed > len(sizes) // 2
    report(f"{failed} runs ended for want of space ({what}), and went on to the same weights")


def test_a_disk_that_fills_leaves_a_run_that_was_to_be_replaced(
    trainings: Trainings, arguments: list[object], whole: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8000) as disk:
        shutil.copytree(whole, disk / "run")
        before = {path.name: path.read_bytes() for path in (disk / "run").iterdir()}
        used = sum(-(-len(content) // 4096) * 4 for content in before.values())
        for room in (8, 160, 500):
            enlarge(disk, used + room)
            again = [*arguments, "--seed", 1, "--out", disk / "run"]
            code, output = trainings.run(
                [*again, "--cache", tmp_path / "cache", "--overwrite"], curves=False
            )
            assert code == 2, output
            after = {path.name: path.read_bytes() for path in (disk / "run").iterdir()}
            assert after == before, room


def test_a_folder_that_becomes_read_only_ends_a_run_which_then_resumes(
    trainings: Trainings, arguments: list[object], tmp_path: Path
) -> None:
    if not trainings.bound:
        pytest.skip("needs setpriv, to give up root's right to write everywhere")
    run, cache = tmp_path / "run", tmp_path / "cache"
    command = [*arguments, "--epochs", 40, "--out", run, "--cache", cache]
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(trainings.run, command)
        while not (run / "last.pt").exists():
            assert not training.done(), training.result()
            time.sleep(0.01)
        run.chmod(0o555)
        code, output = training.result(timeout=600)
    assert code == 2, output
    assert f"Error: {run}" in output
    assert "cannot be written: permission denied" in output
    assert_whole(run)
    for refused in (["--resume"], ["--resume", "--cache", tmp_path / "run" / "cache"]):
        code, output = trainings.run([*command, *refused], curves=False)
        assert code == 2, output
        assert f"{run}: cannot be written: permission denied" in output
    run.chmod(0o755)
    cache.chmod(0o555)  # where all is there already, nothing need be written
    epochs = load_checkpoint(run / "last.pt").epoch + 1
    code, output = trainings.run([*command, "--resume", "--epochs", epochs], curves=False)
    assert code == 0, output
    code, output = trainings.run([*command, "--size", 32, "--overwrite"], curves=False)
    assert code == 2, output
    assert f"{cache}" in output
    assert "cannot be written: permission denied" in output
