"""Training as a step of a schedule: its estimated time, and its progress."""

import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.schedule import Schedule
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

_CONVERSION_S = 15.0
"""PyTorch's conversion of a network of any width, on a common machine."""
_COMPARED = 100
"""Approximate cost of an export's comparison with PyTorch, in forward passes of one image."""
_IMAGES = 4
_STEPS = 2


def seconds_per_image(config: TrainConfig) -> float:
    """Return the seconds of training per image on this machine, measured in two small steps.

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
        return min(_step(state.objective, images, masks) for _ in range(_STEPS)) / _IMAGES


def export_seconds(image_seconds: float) -> float:
    """Return the expected seconds of an export, by those of training per image.

    Example:
        >>> export_seconds(0.3)
        25.0
    """
    return _CONVERSION_S + image_seconds * _COMPARED / 3


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
    start = time.perf_counter()
    loss, _ = objective(images, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
