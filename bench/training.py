"""A training run as a piece of work: how long it will take, and how far it is."""

import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.work import Work
from runtime.core.progress import Progress
from train.config import TrainConfig
from train.determinism import repeatable
from train.history import HISTORY
from train.memory import retain_memory
from train.objective import Objective
from train.run import TrainResult, train_network
from train.state import choose_device, initialize_state

EXPORT_IMAGES = 100
"""What a file's comparison with PyTorch costs, in forward passes of one image, roughly."""
_IMAGES = 4
_STEPS = 2


def seconds_per_image(config: TrainConfig) -> float:
    """Return the seconds that training takes an image, on this machine, from two small steps.

    The network is built as a run builds it, so that what would stop a run stops it here; but it is
    not compiled, which may take longer than what is to be estimated.

    Raises:
        ConfigError: the device is not there.
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


def epochs_done(folder: Path) -> int:
    """Return how many epochs of the run in `folder` need not be trained again."""
    history = folder / HISTORY
    return len(history.read_text().splitlines()) - 1 if history.is_file() else 0


def train_as_work(config: TrainConfig, folder: Path, cache: Path, work: Work) -> TrainResult:
    """Train a network, or go on where its run in `folder` was interrupted.

    Tells `work` how far its current piece is, and ends where that is to stop. Raises what
    `train_network` raises.
    """
    before = epochs_done(folder) / config.epochs

    def on_progress(step: Progress) -> None:
        if step.phase == "train":
            work.advance((step.fraction - before) / (1.0 - before), step.note)

    return train_network(
        config, folder, cache=cache, resume=True, on_progress=on_progress, stop=work.stop
    )


def _step(objective: Objective, images: Tensor, masks: Tensor) -> float:
    start = time.perf_counter()
    loss, _ = objective(images, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
