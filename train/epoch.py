"""One pass over a split: training steps, or validation."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.core.errors import NonFiniteLossError
from runtime.metrics import PixelSums, scores, spread
from train.augment import augment
from train.config import TrainConfig
from train.data import Batches
from train.network import UNet
from train.objective import Objective
from train.seeds import random_states
from train.step_losses import StepLosses


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is.

    Attributes:
        phase: "decode" (done and total count images) or "train" (they count steps of the run).
        loss: running mean of this epoch's training loss; NaN before the first step.
    """

    phase: Literal["decode", "train"]
    done: int
    total: int
    epoch: int = 0
    loss: float = math.nan


@dataclass(frozen=True, slots=True)
class EpochSteps:
    """The training steps of an epoch that are done: all, or those before the run was stopped.

    Attributes:
        losses: of each step, float32 [steps].
        sums: sum y, sum p and sum y p of each image, in the epoch's order, float64 [images, 3].
        seconds: that the steps took.
        random: states of PyTorch's generators after them, as `train.seeds.random_states` gives.
    """

    losses: Tensor
    sums: Tensor
    seconds: float
    random: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class EpochMeans:
    """The mean loss and the soft metrics' means over images of one pass over a split."""

    loss: float
    precision: float
    recall: float
    iou: float


def train_epoch(
    network: UNet,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    config: TrainConfig,
    epoch: int,
    listener: Callable[[Progress], None],
    *,
    begun: EpochSteps | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> EpochSteps:
    """Train on every image once, in the order that the config's seed and the epoch give.

    With `config.augment` the loss and the metrics are those of the changed images. On a CUDA device
    the host waits for none of the steps but the last (with `config.augment`, whose draws are made
    on the CPU, for each); the listener is told of a step when the device is known to be past it.

    Args:
        objective: of `network`, as `make_objective` returns it.
        epoch: 1 for the first.
        begun: steps of this epoch that need not be taken again.
        stop: asked after each step; True ends the epoch there.

    Raises:
        NonFiniteLossError: a step's loss is not finite.
        ConfigError: the network cannot be compiled.
    """
    network.train()
    order = batches.indices(shuffled_by=(config.seed, epoch))
    where = f"epoch {epoch}"
    losses = StepLosses(len(order), batches.device)
    sums = [torch.zeros(0, 3, dtype=torch.float64, device=batches.device)]
    start, told = time.perf_counter(), 0
    if begun is not None:
        start, told = start - begun.seconds, len(begun.losses)
        losses.extend(begun.losses)
        sums.append(begun.sums.to(batches.device))

    def tell(known: list[float]) -> None:
        nonlocal told
        _check_finite(known, order, batches.names, where)
        if len(known) > told:
            told = len(known)
            steps = (epoch - 1) * len(order) + told
            mean = sum(known) / told
            listener(Progress("train", steps, config.epochs * len(order), epoch, mean))

    for images, masks in batches.load(order[told:]):
        if config.augment:
            images, masks = augment(images, masks)
        loss, image_sums = objective(images, masks)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.extend(loss)
        sums.append(image_sums)
        tell(losses.known())
        if stop():
            break
    done = losses.all()
    tell(done.tolist())
    seconds = time.perf_counter() - start
    return EpochSteps(done, torch.cat(sums), seconds, random_states(batches.device))


@torch.no_grad()
def validate(
    network: UNet,
    objective: Objective,
    batches: Batches,
    config: TrainConfig,
    epoch: int,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> EpochMeans | None:
    """Score a network on every image, as it is.

    Args:
        objective: of `network`, as `make_objective` returns it.
        stop: asked after each batch; where it is True, None is returned.

    Raises:
        NonFiniteLossError: a batch's loss is not finite.
        ConfigError: the network cannot be compiled.
    """
    network.eval()
    order = batches.indices()
    losses: list[Tensor] = []
    sums: list[Tensor] = []
    for images, masks in batches.load(order):
        loss, image_sums = objective(images, masks)
        losses.append(loss)
        sums.append(image_sums)
        if stop():
            return None
    done = torch.stack(losses).cpu()
    _check_finite(done.tolist(), order, batches.names, f"validation of epoch {epoch}")
    return summarize(done, torch.cat(sums), config)


def summarize(losses: Tensor, sums: Tensor, config: TrainConfig) -> EpochMeans:
    """Return the means of a whole pass: from each batch's loss, and sums as in `EpochSteps`."""
    images = [scores(PixelSums(config.size**2, *row)) for row in sums.tolist()]
    # Every batch but the last is full.
    starts = range(0, len(images), config.batch_size)
    counts = [min(config.batch_size, len(images) - start) for start in starts]
    weighted = sum(loss * count for loss, count in zip(losses.tolist(), counts, strict=True))
    return EpochMeans(
        loss=weighted / len(images),
        precision=spread([image.precision for image in images]).mean,
        recall=spread([image.recall for image in images]).mean,
        iou=spread([image.iou for image in images]).mean,
    )


def _check_finite(
    losses: list[float], order: list[NDArray[np.int64]], names: tuple[str, ...], where: str
) -> None:
    for step, loss in enumerate(losses):
        if not math.isfinite(loss):
            images = ", ".join(names[index] for index in order[step])
            raise NonFiniteLossError(
                f"{where}, step {step + 1}: expected a finite loss, found {loss} on the "
                f"images {images}"
            )
