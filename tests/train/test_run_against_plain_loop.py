"""A run against a plain training loop, which shares only the network and the decoded images.

Seed, order of the images, optimizer, scheduler, loss and every figure of the history are written
down here a second time. So a run that skips one of them ends with other weights or other figures.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from train.augment import augment
from train.checkpoint import load_checkpoint
from train.config import TrainConfig, demo_config
from train.network import UNet
from train.run import train_network


@pytest.fixture(scope="module")
def config(phantom: Path) -> TrainConfig:
    """Steps of 6, 6 and 4 images, at a rate so high that the validation loss jumps."""
    return demo_config(
        str(phantom), "scratch", width=2, size=16, epochs=4, batch_size=6, learning_rate=0.05,
        patience=1, decay=0.5, seed=5, threads=1,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def same_rounding() -> Iterator[None]:
    """One thread and deterministic operators, as in the run; Adam enlarges any difference."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


def load(dataset: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """All images and masks of a split, at 16x16."""
    samples = dataset.split(split).samples
    scans = np.stack([load_scan(sample.path, (16, 16)).pixels for sample in samples])
    masks = np.stack([sample.mask((16, 16), "boxes") for sample in samples])
    images = torch.from_numpy(scans).permute(0, 3, 1, 2) * float(np.float32(1 / 255))
    return images, torch.from_numpy(masks)[:, None].float()


def soft_metrics(logits: Tensor, masks: Tensor) -> list[tuple[float, float, float]]:
    """Soft precision, recall and IoU of each image, in float64."""
    found = []
    for logit, mask in zip(logits.detach(), masks, strict=True):
        p, y = torch.sigmoid(logit).double(), mask.double()
        overlap = float((p * y).sum())
        union = float(p.sum() + y.sum()) - overlap
        found.append((overlap / float(p.sum()), overlap / float(y.sum()), overlap / union))
    return found


def figures(losses: list[float], logits: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
    """The mean loss, precision, recall and IoU over images, from batches."""
    counts = [len(batch) for batch in masks]
    metrics = np.array([row for pair in zip(logits, masks, strict=True)
                        for row in soft_metrics(*pair)])  # fmt: skip
    precision, recall, iou = metrics.mean(axis=0)
    return {
        "loss": float(np.average(losses, weights=counts)),
        "precision": precision, "recall": recall, "iou": iou,
    }  # fmt: skip


def plain_loop(
    config: TrainConfig, dataset: Dataset
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train as `config` says; return the weights and the figures of each epoch."""
    (images, masks), valid = load(dataset, "train"), load(dataset, "valid")
    torch.manual_seed(config.seed)
    network = UNet("scratch", config.width).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    rows, lowest, bad = [], np.inf, 0
    for epoch in range(1, config.epochs + 1):
        (draw,) = np.random.SeedSequence((config.seed, epoch)).generate_state(1, np.uint64)
        torch.manual_seed(int(draw))
        order = np.random.default_rng((config.seed, epoch)).permutation(len(images))
        losses, logits, seen = [], [], []
        network.train()
        for start in range(0, len(order), config.batch_size):
            index = torch.from_numpy(order[start : start + config.batch_size])
            batch, target = images[index], masks[index]
            batch = batch.contiguous(memory_format=torch.channels_last)
            if config.augment:
                batch, target = augment(batch, target)
            optimizer.zero_grad()
            output = network(batch)
            loss = binary_cross_entropy_with_logits(output, target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
            logits.append(output)
            seen.append(target)
        train = figures(losses, logits, seen)
        network.eval()
        with torch.no_grad():
            output = network(valid[0])
        check = figures([float(binary_cross_entropy_with_logits(output, valid[1]))], [output],
                        [valid[1]])  # fmt: skip
        rate = optimizer.param_groups[0]["lr"]
        rows.append({"epoch": epoch, "learning_rate": rate}
                    | {f"train_{name}": value for name, value in train.items()}
                    | {f"valid_{name}": value for name, value in check.items()})  # fmt: skip
        lowest, bad = (check["loss"], 0) if check["loss"] < lowest else (lowest, bad + 1)
        if bad >= config.patience:
            optimizer.param_groups[0]["lr"], bad = rate * config.decay, 0
    return network.state_dict(), rows


@pytest.mark.parametrize("changes", [{}, {"augment": True, "seed": 4, "patience": 2}])
def test_a_run_is_the_plain_loop(
    config: TrainConfig, phantom_data: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = replace(config, masks="boxes", **changes)
    weights, rows = plain_loop(config, phantom_data)
    rates = [row["learning_rate"] for row in rows]
    if not changes:  # else a scheduler that is never stepped would give the same
        assert any(later < earlier for earlier, later in pairwise(rates))
    for split in ("train", "valid"):  # nor may precision and recall be told apart by chance
        assert any(abs(row[f"{split}_precision"] - row[f"{split}_recall"]) > 0.01 for row in rows)
    history = train_network(config, tmp_path / "run", cache=tmp_path / "cache").history
    for row, expected in zip(history, rows, strict=True):
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-4, abs=1e-5), (row, name)
    found = load_checkpoint(tmp_path / "run" / "last.pt").weights
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4, msg=name)
