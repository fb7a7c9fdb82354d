"""Losses read behind the device: on the CPU at once, on a CUDA device when they have arrived."""

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, precision_score, recall_score

from runtime.core.errors import NonFiniteLossError
from runtime.core.progress import Progress
from runtime.data.samples import Sample
from runtime.scoring.evaluation import score
from train.config import TrainConfig
from train.data import Batches, DecodedSplit
from train.epoch import StepLosses, summarize, train_epoch, validate
from train.objective import make_objective
from train.state import initialize_state

CPU = torch.device("cpu")


def test_on_the_cpu_a_loss_is_known_at_once() -> None:
    losses = StepLosses(4, CPU)
    losses.add(torch.tensor(3.0))
    losses.add(torch.tensor(2.0))
    assert losses.arrived() == [3.0, 2.0]
    weight = torch.tensor(1.5, requires_grad=True)
    losses.add(weight * 1.0)
    assert losses.arrived() == [1.5]
    assert losses.arrived() == losses.rest() == []
    assert losses.all().tolist() == [3.0, 2.0, 1.5]
    assert not losses.all().requires_grad


class SlowEvent:
    """Stands in for `torch.cuda.Event`: passed when the test says so."""

    passed = True

    def record(self) -> None:
        SlowEvent.passed = False

    def query(self) -> bool:
        return SlowEvent.passed


def test_a_loss_is_known_when_its_copy_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(count: int, **_: object) -> torch.Tensor:
        return torch.zeros(count)

    fake = SimpleNamespace(zeros=zeros, cuda=SimpleNamespace(Event=SlowEvent))
    monkeypatch.setattr("train.epoch.torch", fake)
    losses = StepLosses(4, torch.device("cuda"))
    seen = []
    for step in range(4):
        losses.add(torch.tensor(float(step)))
        SlowEvent.passed = step != 1  # the copy that started after step 0 takes two steps
        seen.append(losses.arrived())
    assert seen == [[], [], [0.0], [1.0, 2.0]]
    assert losses.rest() == [3.0]
    assert losses.all().tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_cuda_device_is_not_waited_for() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    losses = StepLosses(8, torch.device("cuda"))
    factor = torch.rand(8192, 8192, device="cuda")
    known: list[float] = []
    for _ in range(8):
        losses.add((factor @ factor).mean())
        known += losses.arrived()
    assert len(known) < 8
    torch.cuda.synchronize()
    deadline = time.monotonic() + 10.0
    while len(known) < 8 and time.monotonic() < deadline:
        known += losses.arrived()
    assert known == losses.all().tolist()


def batches(config: TrainConfig, images: int) -> Batches:
    rng = np.random.default_rng(0)
    scans = rng.integers(0, 256, (images, 16, 16, 3), np.uint8)
    masks = rng.integers(0, 256, (images, 16, 2), np.uint8)
    names = tuple(f"scan{index}.png" for index in range(images))
    return Batches(DecodedSplit(names, scans, masks), config.batch_size, CPU)


def test_progress_counts_the_runs_steps_and_notes_the_epochs_mean_loss() -> None:
    config = TrainConfig(data="none", width=2, size=16, batch_size=2, epochs=3, threads=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state, split = initialize_state(config, CPU), batches(config, 8)
        seen: list[Progress] = []
        steps = train_epoch(state, split, 2, on_progress=seen.append)
    assert [(step.done, step.total, step.phase) for step in seen] == [
        (done, 12, "train") for done in (5, 6, 7, 8)
    ]
    for index, step in enumerate(seen):
        mean = float(steps.losses[: index + 1].mean())
        assert step.note == f"epoch 2/3, loss {mean:.4f}"


def test_resumed_steps_are_not_repeated_and_count_in_the_mean() -> None:
    config = TrainConfig(data="none", width=2, size=16, batch_size=2, epochs=1, threads=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state, split = initialize_state(config, CPU), batches(config, 8)
        first = train_epoch(state, split, 1, stop=lambda: True)
        seen: list[Progress] = []
        first = replace(first, seconds=1000.0)
        steps = train_epoch(state, split, 1, resumed=first, on_progress=seen.append)
    assert (len(first.losses), len(first.sums)) == (1, 2)
    assert [step.done for step in seen] == [2, 3, 4]
    assert seen[-1].note == f"epoch 1/1, loss {float(steps.losses.mean()):.4f}"
    assert torch.equal(steps.losses[:1], first.losses)
    assert torch.equal(steps.sums[:2], first.sums)
    assert steps.sums.shape == (8, 5)
    assert steps.seconds > first.seconds  # those of the earlier steps count


def test_a_loss_that_is_not_finite_is_found_in_the_step_where_it_appears() -> None:
    config = TrainConfig(data="none", width=2, size=16, batch_size=2, learning_rate=1e30, threads=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = initialize_state(config, CPU)
        with pytest.raises(
            NonFiniteLossError, match=r"epoch 1, step 2: .*images scan\d\.png, scan"
        ):
            train_epoch(state, batches(config, 8), 1)


def test_a_last_batch_that_joined_the_one_before_weighs_more() -> None:
    config = TrainConfig(data="none", size=16, batch_size=2)
    sums = torch.tensor([[4.0, 4.0, 2.0, 4.0, 2.0]] * 5, dtype=torch.float64)
    means = summarize(torch.tensor([1.0, 4.0]), sums, config)
    assert means.loss == pytest.approx((2 * 1.0 + 3 * 4.0) / 5)


def test_a_smaller_last_batch_weighs_less() -> None:
    config = TrainConfig(data="none", size=16, batch_size=2)
    sums = torch.tensor([[4.0, 4.0, 2.0, 4.0, 2.0]] * 3, dtype=torch.float64)
    means = summarize(torch.tensor([1.0, 4.0]), sums, config)
    assert means.loss == pytest.approx((2 * 1.0 + 4.0) / 3)
    assert (means.precision, means.recall) == (0.5, 0.5)
    assert means.iou == pytest.approx(2 / 6)


@pytest.mark.parametrize("augmented", [False, True])
def test_training_metrics_are_those_of_the_images_that_were_trained_on(augmented: bool) -> None:
    config = TrainConfig(
        data="none", width=2, size=16, batch_size=3, epochs=1, seed=5, augment=augmented, threads=1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state, split = initialize_state(config, CPU), batches(config, 8)
        seen: list[torch.Tensor] = []
        objective = state.objective

        def recorded(
            images: torch.Tensor, masks: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(masks)
            return objective(images, masks)

        steps = train_epoch(replace(state, objective=recorded), split, 1)
    assert [len(masks) for masks in seen] == [3, 3, 2]
    area = torch.cat(seen).flatten(1).sum(1).double()
    assert torch.equal(steps.sums[:, 0], area)
    order = split.indices(shuffled_by=(5, 1))
    unchanged = torch.cat([masks for _, masks in split.load(order)])
    assert torch.equal(torch.cat(seen), unchanged) is not augmented


def test_validation_scores_every_image_in_eval_mode_and_trains_none() -> None:
    config = TrainConfig(data="none", width=2, size=16, batch_size=3, threads=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state, split = initialize_state(config, CPU), batches(config, 8)
        state.network.train()
        before = {name: value.clone() for name, value in state.network.state_dict().items()}
        means = validate(state, split, 1)
    assert means is not None
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    alone = [validate(state, _only(split, index), 1) for index in range(8)]
    for name in ("loss", "precision", "recall", "iou"):
        mean = float(np.mean([getattr(image, name) for image in alone]))
        assert getattr(means, name) == pytest.approx(mean, abs=1e-6), name


def test_the_history_scores_as_an_evaluation_does_with_empty_masks_too() -> None:
    rng = np.random.default_rng(3)
    masks = rng.random((6, 16, 16)) < 0.2
    masks[1] = masks[4] = False
    probability = rng.random((6, 16, 16), np.float32)
    samples = [Sample(Path(f"{n}.png"), f"{n}.png", 16, 16, ()) for n in range(6)]
    pairs = zip(probability, masks.astype(np.uint8), strict=True)
    expected = score("network", (16, 16), samples, pairs)

    y, p = torch.from_numpy(masks).float()[:, None], torch.from_numpy(probability)[:, None]
    config = TrainConfig(data="none", size=16, batch_size=6)
    objective = make_objective(_Given(p), config, CPU, torch.float32)  # type: ignore[arg-type]
    loss, sums = objective(torch.zeros(6, 3, 16, 16), y)
    means = summarize(loss[None], sums, config)

    for name in ("precision", "recall", "iou"):
        soft = expected.soft.per_image[name]
        assert soft.images == 4
        assert getattr(means, name) == pytest.approx(soft.mean, abs=1e-6)
        pooled = getattr(expected.thresholded.pooled, name)
        assert getattr(means, f"{name}_at_half") == pytest.approx(pooled, abs=1e-12)
        reference = {"precision": precision_score, "recall": recall_score, "iou": jaccard_score}
        pixels = masks.ravel(), probability.ravel() >= 0.5
        assert pooled == pytest.approx(float(reference[name](*pixels)))


class _Given(torch.nn.Module):
    """A network whose probabilities are given."""

    def __init__(self, probability: torch.Tensor) -> None:
        super().__init__()
        self.logits = probability.double().logit()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def _only(split: Batches, index: int) -> Batches:
    """The batches of one image of a split."""
    pixels, masks = (getattr(split, name).numpy() for name in ("_images", "_masks"))
    part = slice(index, index + 1)
    return Batches(DecodedSplit(split.names[part], pixels[part], masks[part]), 1, CPU)
