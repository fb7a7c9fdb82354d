"""Training as a step of a schedule: its estimated time, and its progress."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from bench.schedule import Schedule
from export.conversion import expected_seconds
from runtime.core.errors import DataError
from runtime.core.progress import Progress
from runtime.data.coco import Dataset
from train.config import TrainConfig
from train.determinism import repeatable
from train.history import HISTORY
from train.memory import retain_memory
from train.objective import Objective
from train.run import TrainResult, train_network
from train.state import choose_device, initialize_state

_COMPARED = 100
"""Approximate cost of an export's comparison with PyTorch, in forward passes of one image."""
_FORWARD = 1 / 3
"""Of a training step, the part of the forward pass."""
_IMAGES = 4
_STEPS = 2


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a network costs on this machine.

    Attributes:
        image_s: seconds of training per image.
        conversion_s: expected seconds of its conversion to a graph.

    Example:
        >>> TrainingCost(image_s=0.3, conversion_s=11.0).export_s
        21.0
    """

    image_s: float
    conversion_s: float

    def training_s(self, epochs: int, train_images: int, valid_images: int) -> float:
        """Return the expected seconds of so many epochs."""
        return epochs * self.image_s * (train_images + valid_images * _FORWARD)

    def evaluation_s(self, images: int) -> float:
        """Return the expected seconds of scoring so many images."""
        return self.image_s * images * _FORWARD

    @property
    def export_s(self) -> float:
        """Expected seconds of an export."""
        return self.conversion_s + self.image_s * _COMPARED * _FORWARD


def measure_cost(config: TrainConfig) -> TrainingCost:
    """Return what the network of a run costs on this machine, from two small training steps.

    The network is built as in a run, so that errors show up here and not hours later. It is not
    compiled, which may take longer than the estimated time itself.

    Raises:
        ConfigError: the device is not available.
        CheckpointError: the encoder's weights cannot be loaded.
    """
    device = choose_device(config)
    with repeatable(config, device), retain_memory():
        state = initialize_state(replace(config, compile=False), device)
        state.network.train()
        masks = torch.zeros(_IMAGES, 1, config.size, config.size, device=device)
        images = torch.rand(_IMAGES, 3, config.size, config.size, device=device)
        if config.channels_last:
            images = images.to(memory_format=torch.channels_last)
        seconds = min(_step(state.objective, images, masks) for _ in range(_STEPS))
        return TrainingCost(seconds / _IMAGES, expected_seconds([state.network]))


def epochs_done(folder: Path) -> int:
    """Return the number of finished epochs of the run in `folder`."""
    return len(epoch_seconds(folder))


def epoch_seconds(folder: Path) -> list[float]:
    """Return the seconds that each finished epoch of the run in `folder` took.

    Raises:
        DataError: the history of the run cannot be read.
    """
    history = folder / HISTORY
    if not history.is_file():
        return []
    try:
        return [float(row["seconds"]) for row in csv.DictReader(history.read_text().splitlines())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{history}: not the history of a training") from error


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """A training of a schedule.

    Attributes:
        step: its name in the schedule.
        folder, cache: as in `train_network`; paths must mean the same on every worker.
    """

    step: str
    config: TrainConfig
    folder: Path
    cache: Path


def train_step(
    config: TrainConfig, folder: Path, cache: Path, schedule: Schedule, dataset: Dataset
) -> TrainResult:
    """Train a network, or resume its run in `folder`, as the current step of `schedule`.

    Args:
        dataset: the data set of `config`.

    Raises:
        SegmentationError: as in `train_network`.
    """
    before = epochs_done(folder) / config.epochs

    def on_progress(step: Progress) -> None:
        if step.phase == "train":
            fraction = (step.fraction - before) / (1.0 - before)
            schedule.advance(fraction, step.note, milestone=step.milestone)

    return train_network(
        config,
        folder,
        cache=cache,
        dataset=dataset,
        resume=True,
        on_progress=on_progress,
        stop=schedule.stop,
    )


def _step(objective: Objective, images: Tensor, masks: Tensor) -> float:
    start = perf_counter()
    loss, _ = objective(images, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start
