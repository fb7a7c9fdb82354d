from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.core.progress import Progress
from runtime.data.coco import Dataset
from tests.support.small_backbones import use_small_backbones
from train.checkpoint import DataFacts, load_checkpoint
from train.config import TrainConfig, demo_config
from train.determinism import random_states
from train.epoch import EpochMeans, EpochSteps
from train.resumable_run import ResumableRun

CPU = torch.device("cpu")
VALID = EpochMeans(0.4, 0.3, 0.2, 0.1, 0.6, 0.5, 0.4)


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, batch_size=3, epochs=9, threads=1)


def run_in(folder: Path, config: TrainConfig, data: Dataset) -> ResumableRun:
    facts = DataFacts.of(data, [data.split("train"), data.split("valid")])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ResumableRun(config, folder, facts, CPU)


def steps_of(images: int, losses: list[float], seconds: float) -> EpochSteps:
    """Steps whose images have precision 1/2, recall 1/4, IoU 1/5; at 0.5 2/3, 1/2, 2/5."""
    sums = torch.tensor([[4.0, 2.0, 1.0, 3.0, 2.0]] * images, dtype=torch.float64)
    return EpochSteps(torch.tensor(losses), sums, seconds, random_states(CPU))


def test_an_epochs_row_holds_its_steps_and_its_validation(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    run = run_in(tmp_path, config, phantom_data)
    steps = steps_of(5, [1.0, 2.0], seconds=2.0)
    run.end_epoch(1, 0.25, steps, VALID, validation_seconds=3.0)
    (row,) = run.history
    assert (row.epoch, row.learning_rate, row.seconds, row.images_per_s) == (1, 0.25, 5.0, 2.5)
    assert row.train_loss == pytest.approx((3 * 1.0 + 2 * 2.0) / 5)
    assert (row.train_precision, row.train_recall) == (0.5, 0.25)
    assert row.train_iou == pytest.approx(0.2)
    assert (row.train_recall_at_half, row.train_iou_at_half) == (0.5, 0.4)
    assert row.train_precision_at_half == pytest.approx(2 / 3)
    assert (row.valid_loss, row.valid_precision, row.valid_recall, row.valid_iou) == (
        0.4, 0.3, 0.2, 0.1
    )  # fmt: skip
    assert (row.valid_precision_at_half, row.valid_recall_at_half, row.valid_iou_at_half) == (
        0.6, 0.5, 0.4
    )  # fmt: skip


def test_the_rate_falls_with_the_validation_loss_and_not_with_the_training_loss(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    run = run_in(tmp_path, replace(config, patience=2, decay=0.5), phantom_data)
    rates = []
    for epoch, loss in enumerate((0.4, 0.5, 0.6, 0.3, 0.2), start=1):
        steps = steps_of(3, [1.0 / epoch], seconds=1.0)  # falls in every epoch
        rates.append(run.start_epoch(epoch))
        run.end_epoch(epoch, rates[-1], steps, replace(VALID, loss=loss), validation_seconds=1.0)
    initial = config.learning_rate
    assert rates == pytest.approx([initial] * 3 + [initial / 2] * 2)
    assert list(run.remaining_epochs()) == [6, 7, 8, 9]


def test_a_resumed_run_has_the_state_and_the_steps_that_were_saved(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    run = run_in(tmp_path, replace(config, patience=3), phantom_data)
    for epoch, loss in ((1, 0.4), (2, 0.5), (3, 0.5)):
        run.end_epoch(epoch, 0.1, steps_of(3, [1.0], 1.0), replace(VALID, loss=loss),
                      validation_seconds=1.0)  # fmt: skip
        run.save()
    steps = steps_of(3, [0.7], seconds=8.0)
    run.save(steps)
    resumed = run_in(tmp_path, replace(config, patience=3), phantom_data)
    resumed.resume()
    assert resumed.history == run.history
    assert resumed.resumed is not None
    assert (resumed.resumed.losses.tolist(), resumed.resumed.seconds) == (
        steps.losses.tolist(), 8.0
    )  # fmt: skip
    assert torch.equal(resumed.resumed.sums, steps.sums)
    assert resumed.state.scheduler.state_dict() == run.state.scheduler.state_dict()
    assert load_checkpoint(tmp_path / "best.pt").epoch == 1
    resumed.end_epoch(4, 0.1, steps, replace(VALID, loss=0.6), validation_seconds=1.0)
    assert resumed.state.learning_rate == pytest.approx(0.1 * config.learning_rate)


def test_steps_of_an_earlier_format_are_resumed_without_metrics_at_half(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    steps = steps_of(3, [0.7], seconds=8.0)
    run_in(tmp_path, config, phantom_data).save(steps)
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    content["format"], content["steps"]["sums"] = 2, steps.sums[:, :3]
    torch.save(content, tmp_path / "last.pt")
    run = run_in(tmp_path, config, phantom_data)
    run.resume()
    assert run.resumed is not None
    run.end_epoch(1, 0.1, run.resumed, VALID, validation_seconds=1.0)
    (row,) = run.history
    assert (row.train_precision, row.train_recall) == (0.5, 0.25)
    for name in ("precision", "recall", "iou"):
        assert np.isnan(getattr(row, f"train_{name}_at_half"))
    assert row.valid_iou_at_half == VALID.iou_at_half


def test_both_splits_are_decoded_as_the_settings_say(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path
) -> None:
    run = run_in(tmp_path / "run", replace(config, size=32, masks="segmentation"), phantom_data)
    splits = phantom_data.split("train"), phantom_data.split("valid")
    seen: list[Progress] = []
    both = run.decode(splits, tmp_path / "cache", seen.append, lambda: False)
    assert [(step.done, step.total, step.phase) for step in seen] == [
        (done, 20, "decode") for done in range(1, 21)
    ]
    for batches, split in zip(both, splits, strict=True):
        assert batches.batch_size == 3
        masks = torch.cat([masks for _, masks in batches.load(batches.indices())])
        expected = [sample.mask((32, 32), "segmentation") for sample in split.samples]
        np.testing.assert_array_equal(masks[:, 0].numpy(), np.stack(expected))


@pytest.mark.parametrize(
    ("epochs", "within", "trained"),
    [(1, False, False), (1, True, True), (2, False, True), (3, False, True)],
)
def test_a_resumed_run_trains_the_encoder_if_its_epoch_was_started(
    config: TrainConfig,
    phantom_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
    within: bool,
    trained: bool,
) -> None:
    use_small_backbones(monkeypatch)
    config = replace(config, arch="resnet34", size=32, freeze_encoder=True, unfreeze_epoch=2)
    run, steps = run_in(tmp_path, config, phantom_data), steps_of(3, [1.0], 1.0)
    with torch.random.fork_rng():
        for epoch in range(1, epochs + 1):
            rate = run.start_epoch(epoch)
            run.end_epoch(epoch, rate, steps, VALID, validation_seconds=1.0)
            run.save()
        if within:
            run.start_epoch(epochs + 1)
            run.save(steps)
    resumed = run_in(tmp_path, config, phantom_data)
    resumed.resume()
    for state in (run.state, resumed.state):
        assert (state.trained_parameters == state.parameters) is trained
        assert state.network.encoder_frozen is not trained
