"""One pass over a split: training steps, or validation."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.core.errors import NonFiniteLossError
from runtime.core.progress import Progress, ProgressCallback, report_progress
from runtime.metrics import PixelSums, image_scores, scores, spread
from train.augment import augment
from train.config import TrainConfig
from train.data import Batches
from train.determinism import random_states
from train.state import TrainState


@dataclass(frozen=True, slots=True)
class EpochSteps:
    """The completed training steps of an epoch: all, or those before the run was stopped.

    Attributes:
        losses: of each step, float32 [steps].
        sums: of each image, in the epoch's order, as an `Objective` returns them, float64
            [images, 5].
        seconds: duration of the steps.
        random: states of PyTorch's generators afterwards, by `train.determinism.random_states`.
    """

    losses: Tensor
    sums: Tensor
    seconds: float
    random: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class EpochMeans:
    """The loss and the metrics of one pass over a split.

    Attributes:
        loss: mean over images.
        precision, recall, iou: soft metrics, means over the images with foreground.
        precision_at_half, recall_at_half, iou_at_half: metrics at threshold 0.5, pooled over all
            images, as a classifier of pixels is scored.
    """

    loss: float
    precision: float
    recall: float
    iou: float
    precision_at_half: float
    recall_at_half: float
    iou_at_half: float


class StepLosses:
    """The losses of an epoch's steps, read without waiting for the device that computes them.

    A CUDA device runs some steps behind the host. The host would wait for the device if it read a
    value from it, and the device would then wait for the host's next step. So values are copied in
    the background, and read when a copy has arrived.

    Args:
        steps: the largest number of steps.
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self._on_device = torch.zeros(steps, device=device)
        behind = device.type == "cuda"
        self._on_host = torch.zeros(steps, pin_memory=True) if behind else self._on_device
        self._copied = torch.cuda.Event() if behind else None  # type: ignore[no-untyped-call]
        self._added = self._copying = self._read = 0

    def add(self, loss: Tensor) -> None:
        """Add the loss of the next step, a scalar with or without a graph."""
        self._on_device[self._added] = loss.detach()
        self._added += 1

    def arrived(self) -> list[float]:
        """Return the losses that have arrived on the host since the last call, in their order."""
        end = self._added
        if self._copied is not None:
            if not self._copied.query():  # type: ignore[no-untyped-call]
                return []
            end, self._copying = self._copying, self._added
            part = slice(end, self._added)
            self._on_host[part].copy_(self._on_device[part], non_blocking=True)
            self._copied.record()
        start, self._read = self._read, end
        return self._on_host[start:end].tolist()

    def rest(self) -> list[float]:
        """Wait for the device, and return the losses that `arrived` has not returned."""
        start, self._read = self._read, self._added
        return self._on_device[start : self._added].tolist()

    def all(self) -> Tensor:
        """Wait for the device, and return the losses of all steps, float32 [n] on the CPU."""
        return self._on_device[: self._added].cpu()


def train_epoch(
    state: TrainState,
    batches: Batches,
    epoch: int,
    *,
    resumed: EpochSteps | None = None,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> EpochSteps:
    """Train on every image once, in an order that the config's seed and the epoch determine.

    With `config.augment` the loss and the metrics are those of the changed images. On a CUDA device
    the host waits only after the last step; with `config.augment`, whose draws are made on the CPU,
    it waits in each. A step is reported when the device is known to have completed it.

    Args:
        epoch: 1 for the first.
        resumed: steps of this epoch that are not repeated.
        on_progress: called with the steps of the whole run, and the epoch's mean loss as note.
        stop: called after each step; the epoch ends there when it returns True.

    Raises:
        NonFiniteLossError: a step's loss is not finite.
        ConfigError: the network cannot be compiled.
    """
    state.network.train()
    order = batches.indices(shuffled_by=(state.config.seed, epoch))
    earlier = torch.zeros(0) if resumed is None else resumed.losses
    watch = _LossWatch(state.config, batches.names, order, epoch, earlier, on_progress)
    losses = StepLosses(len(order) - len(earlier), batches.device)
    sums = [torch.zeros(0, 5, dtype=torch.float64) if resumed is None else resumed.sums]
    sums[0] = sums[0].to(batches.device)
    start = time.perf_counter() - (0.0 if resumed is None else resumed.seconds)
    for images, masks in batches.load(order[len(earlier) :]):
        if state.config.augment:
            images, masks = augment(images, masks)
        loss, image_sums = state.objective(images, masks)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        losses.add(loss)
        sums.append(image_sums)
        watch(losses.arrived())
        if stop():
            break
    watch(losses.rest())
    seconds = time.perf_counter() - start
    done = torch.cat([earlier, losses.all()])
    return EpochSteps(done, torch.cat(sums), seconds, random_states(batches.device))


@torch.no_grad()
def validate(
    state: TrainState,
    batches: Batches,
    epoch: int,
    *,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> EpochMeans | None:
    """Score the network on every image.

    Args:
        on_progress: called with the batches of this epoch.
        stop: called after each batch; when it returns True, validation ends and returns None.

    Raises:
        NonFiniteLossError: a batch's loss is not finite.
        ConfigError: the network cannot be compiled.
    """
    state.network.eval()
    order = batches.indices()
    losses: list[Tensor] = []
    sums: list[Tensor] = []
    for images, masks in batches.load(order):
        loss, image_sums = state.objective(images, masks)
        losses.append(loss)
        sums.append(image_sums)
        report_progress(on_progress, "validate", len(losses), len(order))
        if stop():
            return None
    done = torch.stack(losses).cpu()
    for step, loss_value in enumerate(done.tolist()):
        _check_finite(loss_value, step, order, batches.names, f"validation of epoch {epoch}")
    return summarize(done, torch.cat(sums), state.config)


def summarize(losses: Tensor, sums: Tensor, config: TrainConfig) -> EpochMeans:
    """Return the means of a whole pass, from each batch's loss and the sums of `EpochSteps`.

    Images without foreground count for the loss and the pooled metrics only, as in an evaluation
    (`runtime.metrics.image_scores`).

    Example:
        >>> import torch
        >>> config = TrainConfig(data="scans", size=16, batch_size=2)
        >>> sums = torch.tensor([[4.0, 4, 2, 5, 3], [2, 2, 1, 0, 0], [0, 1, 0, 1, 0]])
        >>> means = summarize(torch.tensor([0.25, 0.5]), sums, config)
        >>> round(means.loss, 4), means.recall, round(means.iou, 4)
        (0.3333, 0.5, 0.3333)
        >>> means.recall_at_half, means.precision_at_half
        (0.5, 0.5)
    """
    images = [image_scores(PixelSums(config.size**2, *row[:3])) for row in sums.tolist()]
    target, _, _, predicted, overlap = sums.sum(dim=0).tolist()
    at_half = scores(PixelSums(config.size**2 * len(images), target, predicted, overlap))
    # Every batch but the last is full, and the last may have joined the one before.
    starts = range(0, len(images), config.batch_size)[: len(losses)]
    counts = np.diff([*starts, len(images)]).tolist()
    weighted = sum(loss * count for loss, count in zip(losses.tolist(), counts, strict=True))
    return EpochMeans(
        loss=weighted / len(images),
        precision=spread([image.precision for image in images]).mean,
        recall=spread([image.recall for image in images]).mean,
        iou=spread([image.iou for image in images]).mean,
        precision_at_half=at_half.precision,
        recall_at_half=at_half.recall,
        iou_at_half=at_half.iou,
    )


class _LossWatch:
    """Checks the losses of an epoch's steps as they arrive, and reports the epoch's mean."""

    def __init__(
        self,
        config: TrainConfig,
        names: tuple[str, ...],
        order: list[NDArray[np.int64]],
        epoch: int,
        earlier: Tensor,
        on_progress: ProgressCallback | None,
    ) -> None:
        self._config, self._names, self._order, self._epoch = config, names, order, epoch
        self._steps, self._sum = len(earlier), float(earlier.double().sum())
        self._on_progress = on_progress

    def __call__(self, losses: list[float]) -> None:
        """Take the losses of the next steps, of none or more."""
        for loss in losses:
            _check_finite(loss, self._steps, self._order, self._names, f"epoch {self._epoch}")
            self._steps += 1
            self._sum += loss
        if losses and self._on_progress is not None:
            length, epochs = len(self._order), self._config.epochs
            note = f"epoch {self._epoch}/{epochs}, loss {self._sum / self._steps:.4f}"
            done = (self._epoch - 1) * length + self._steps
            self._on_progress(Progress(done, epochs * length, "train", note))


def _check_finite(
    loss: float, step: int, order: list[NDArray[np.int64]], names: tuple[str, ...], where: str
) -> None:
    if not math.isfinite(loss):
        images = ", ".join(names[index] for index in order[step])
        raise NonFiniteLossError(
            f"{where}, step {step + 1}: expected a finite loss, found {loss} on the images {images}"
        )
