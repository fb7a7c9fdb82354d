"""Checkpoints: all that resuming and exporting need, loaded without running code."""

import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runtime.core.errors import CheckpointError
from runtime.core.files import found_instead, write_bytes
from runtime.core.schema import from_dict, to_dict
from train.config import TrainConfig
from train.epoch import EpochSteps
from train.history import EpochRow
from train.network import UNet
from train.plain_load import plain_load
from train.weights import EncoderWeights, move_strides

FORMAT = 2
"""1 is the same without steps of an epoch."""
LAST, BEST = "last.pt", "best.pt"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a network was trained on.

    Attributes:
        name: of the data set's folder.
        sha256: of its manifest, train and valid (`runtime.manifest_sha256`).
        license: as the COCO file states it.
        images: images a split.
    """

    name: str
    sha256: str
    license: str | None
    images: dict[str, int]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network after some epochs, and where it comes from.

    Attributes:
        history: a row for each epoch that led here.
        weights: the network's state dictionary.
        optimizer, scheduler: their state dictionaries; None in a checkpoint kept for export.
        steps: of the epoch after those in `history`, where the run was stopped in the middle of it;
            the weights, the optimizer and the scheduler are those after these steps.
    """

    config: TrainConfig
    data: DataFacts
    encoder_weights: EncoderWeights | None
    versions: dict[str, str]
    history: tuple[EpochRow, ...]
    weights: dict[str, Tensor]
    optimizer: dict[str, Any] | None
    scheduler: dict[str, Any] | None
    steps: EpochSteps | None = None

    @property
    def epoch(self) -> int:
        """The last whole epoch that was trained, 0 for none."""
        return self.history[-1].epoch if self.history else 0

    @property
    def begun(self) -> int:
        """The last epoch that was begun, 0 for none."""
        return self.epoch + (self.steps is not None)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, wholly or not at all. Raises OutputError."""
    write_bytes(path, checkpoint_bytes(checkpoint))


def checkpoint_bytes(checkpoint: Checkpoint) -> memoryview:
    """Return a checkpoint as the content of its file."""
    steps = checkpoint.steps
    encoder = checkpoint.encoder_weights
    content = {
        "format": FORMAT,
        "config": to_dict(checkpoint.config),
        "data": to_dict(checkpoint.data),
        "encoder_weights": None if encoder is None else to_dict(encoder),
        "versions": dict(checkpoint.versions),
        "history": [to_dict(row) for row in checkpoint.history],
        "weights": checkpoint.weights,
        "optimizer": checkpoint.optimizer,
        "scheduler": checkpoint.scheduler,
        "steps": None
        if steps is None
        else {field.name: getattr(steps, field.name) for field in fields(steps)},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing in it is executed (PyTorch's `weights_only` unpickler).

    Raises:
        CheckpointError: there is no such file, or it is not a checkpoint of `train-unet`.
    """
    file = Path(path)
    if (found := found_instead(file)) is not None:
        raise CheckpointError(f"{file}: expected a checkpoint, found {found}")
    try:
        content = plain_load(file)
    except ValueError as error:
        raise CheckpointError(
            f"{file}: expected a checkpoint of train-unet, found a file that is damaged, is "
            "something else, or would run code"
        ) from error
    if not isinstance(content, dict) or content.get("format") not in (1, FORMAT):
        raise CheckpointError(
            f"{file}: expected a checkpoint of train-unet (format {FORMAT}), found another file"
        )
    checkpoint = _from_content(content, str(file))
    held = sum(value.nbytes for value in checkpoint.weights.values())
    if held > file.stat().st_size:  # a tensor with strides of 0 may claim any size
        raise CheckpointError(
            f"{file}: expected weights no larger than the file, found {held} bytes"
        )
    return checkpoint


def _from_content(content: dict[str, Any], where: str) -> Checkpoint:
    history, weights, versions, encoder, optimizer, scheduler = (
        content.get(name)
        for name in ("history", "weights", "versions", "encoder_weights", "optimizer", "scheduler")
    )
    if not isinstance(history, list) or not isinstance(weights, dict):
        raise CheckpointError(f"{where}: expected a history and weights, found neither or one")
    if not all(isinstance(name, str) and _is_plain(value) for name, value in weights.items()):
        raise CheckpointError(f"{where}: expected weights by name, found something else")
    if not isinstance(versions, dict) or not all(
        isinstance(text, str) for pair in versions.items() for text in pair
    ):
        raise CheckpointError(f"{where}: expected versions by name, found something else")
    if not all(isinstance(state, dict | None) for state in (optimizer, scheduler)):
        raise CheckpointError(f"{where}: expected states of the optimizer, found something else")

    def record(kind: Any, value: object, name: str) -> Any:
        return from_dict(kind, value, where=f"{where}: {name}", error=CheckpointError)

    return Checkpoint(
        config=record(TrainConfig, _current(content.get("config")), "config"),
        data=record(DataFacts, content.get("data"), "data"),
        encoder_weights=None
        if encoder is None
        else record(EncoderWeights, encoder, "encoder_weights"),
        versions=versions,
        history=tuple(record(EpochRow, row, "history") for row in history),
        weights=weights,
        optimizer=optimizer,
        scheduler=scheduler,
        steps=_steps(content.get("steps"), where),
    )


def _current(config: object) -> object:
    """Return a config as it is written today: in version 0.1 the default `threads` was 0."""
    if isinstance(config, dict) and config.get("threads") == 0:
        return {**config, "threads": None}
    return config


def _is_plain(value: object) -> bool:
    return type(value) is Tensor and value.layout == torch.strided and value.device.type == "cpu"


def _steps(content: Any, where: str) -> EpochSteps | None:
    if content is None:
        return None
    try:
        steps = EpochSteps(**content)
        fits = (
            (steps.losses.ndim, tuple(steps.sums.shape[1:])) == (1, (3,))
            and isinstance(steps.seconds, float)
            and all(map(_is_plain, (steps.losses, steps.sums, *steps.random)))
            and len(steps.random) > 0
        )
    except (TypeError, AttributeError):
        fits = False
    if not fits:
        raise CheckpointError(f"{where}: expected the steps of an epoch, found something else")
    return steps


def build_network(checkpoint: Checkpoint, where: str | Path) -> UNet:
    """Build a checkpoint's network with its weights, in eval mode, on the CPU.

    Args:
        where: the checkpoint's name, for the message.

    Raises:
        CheckpointError: the weights are those of another architecture, or of the middle of an
            epoch, for which nothing has been measured.
    """
    if checkpoint.steps is not None:
        raise CheckpointError(
            f"{where}: expected a network after a whole epoch, found one in the middle of epoch "
            f"{checkpoint.begun}, which train-unet --resume ends"
        )
    config = checkpoint.config
    _check_fit(config, checkpoint.weights, where)
    network = UNet(config.arch, config.width)
    weights = checkpoint.encoder_weights
    if weights is not None and weights.stride_in_1x1:
        move_strides(network.encoder, where)
    load_weights(network, checkpoint.weights, where)
    if config.freeze_encoder:
        network.freeze_encoder()
    return network.eval()


def _check_fit(config: TrainConfig, weights: dict[str, Tensor], where: str | Path) -> None:
    """Raise CheckpointError where weights do not fit, before memory is taken for a network."""
    try:
        with torch.device("meta"):
            expected = UNet(config.arch, config.width).state_dict()
        fits = {n: v.shape for n, v in expected.items()} == {n: v.shape for n, v in weights.items()}
    except RuntimeError:  # a tensor beyond what PyTorch can count
        fits = False
    if not fits:
        raise _misfit(config.arch, config.width, where)


def _misfit(arch: str, width: int, where: str | Path) -> CheckpointError:
    return CheckpointError(
        f"{where}: expected the weights of {arch} at width {width}, found those of another "
        "architecture"
    )


def load_weights(network: UNet, weights: dict[str, Tensor], where: str | Path) -> None:
    """Load a state dictionary into a network. Raises CheckpointError where it does not fit."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise _misfit(network.arch, network.width, where) from error
