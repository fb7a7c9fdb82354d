"""Checkpoints: everything that resuming and exporting need, loaded without running code."""

import io
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median_low
from typing import Any

import torch
from torch import Tensor

from runtime.core.errors import CheckpointError, ConfigError, DataError
from runtime.core.files import found_instead, write_bytes
from runtime.core.schema import from_dict, to_dict
from runtime.data.coco import Dataset
from runtime.data.manifest import manifest_sha256
from runtime.data.split import Split
from runtime.data.volumes.spec import VolumeSpec
from train.config import TrainConfig
from train.epoch import EpochSteps
from train.history import EpochRow
from train.network import SegmentationNetwork, make_network
from train.plain_load import plain_load
from train.pretrained import EncoderWeights
from train.weights import load_weights, misfit, move_strides

FORMAT = 3
"""Version of the file; 1 has no steps of an unfinished epoch, 2 no sums at 0.5 in them."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Facts on the data that a network was trained on.

    Attributes:
        name: of the data set's folder.
        sha256: of the manifest of train and valid (`runtime.manifest_sha256`).
        license: as the COCO file states it.
        images: number of images by split.
        annotations: number of annotations by category, which are all foreground.
        volumes: how the images were made of volumes; None where they were not.
        image_size: median height and width of the training images, in pixels; None if unknown.
    """

    name: str
    sha256: str
    license: str | None
    images: dict[str, int]
    annotations: dict[str, int] = field(default_factory=dict)
    volumes: VolumeSpec | None = None
    image_size: tuple[int, ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset, splits: Iterable[Split]) -> "DataFacts":
        """Return the facts on some splits of a data set, train first. Raises DataError."""
        used = tuple(splits)
        volumes = used[0].volumes
        if any(split.volumes != volumes for split in used):
            names = " and ".join(split.name for split in used)
            raise DataError(f"{dataset.root}: {names} were made of volumes by different rules")
        images = {split.name: len(split.samples) for split in used}
        license_ = next((split.license for split in used if split.license), None)
        annotations: Counter[str] = Counter()
        for split in used:
            annotations.update(split.annotations)
        sides = zip(*((sample.height, sample.width) for sample in used[0].samples), strict=True)
        return cls(
            name=dataset.name,
            # Of the whole splits: a run that drops images is still one on this data set.
            sha256=manifest_sha256(dataset.split(split.name) for split in used),
            license=license_,
            images=images,
            annotations=dict(annotations),
            volumes=volumes,
            image_size=tuple(map(median_low, sides)),
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network in training, and its origin.

    Attributes:
        encoder_weights: origin of the encoder's weights; None where it started untrained.
        versions: of the packages that trained it.
        history: a row for each completed epoch.
        weights: the network's state dictionary.
        optimizer, scheduler: their state dictionaries; None in a checkpoint for export.
        steps: of the epoch after `history`, where the run was stopped within it; weights,
            optimizer and scheduler are those after these steps.
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
        """The last completed epoch, 0 for none."""
        return self.history[-1].epoch if self.history else 0

    @property
    def started(self) -> int:
        """The last epoch that was started, 0 for none."""
        return self.epoch + (self.steps is not None)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, as a whole or not at all. Raises OutputError."""
    write_bytes(path, checkpoint_bytes(checkpoint))


def checkpoint_bytes(checkpoint: Checkpoint) -> memoryview:
    """Return the content of a checkpoint's file."""
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
        else {one.name: getattr(steps, one.name) for one in fields(steps)},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, without running code from it (PyTorch's `weights_only` unpickler).

    Raises:
        CheckpointError: the file does not exist, or is not a checkpoint of `train-unet`.
    """
    file = Path(path)
    if (found := found_instead(file)) is not None:
        raise CheckpointError(f"{file}: expected a checkpoint, found {found}")
    try:
        content = plain_load(file)
    except ValueError as error:
        raise CheckpointError(
            f"{file}: expected a checkpoint of train-unet, found a file that is damaged, of "
            "another kind, or would run code"
        ) from error
    if not isinstance(content, dict) or content.get("format") not in (1, 2, FORMAT):
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
        raise CheckpointError(f"{where}: missing or invalid `history` or `weights`")
    if not all(isinstance(name, str) and _is_plain(value) for name, value in weights.items()):
        raise CheckpointError(f"{where}: invalid `weights`: they must be plain tensors by name")
    if not isinstance(versions, dict) or not all(
        isinstance(text, str) for pair in versions.items() for text in pair
    ):
        raise CheckpointError(f"{where}: invalid `versions`: they must be texts by name")
    if not all(isinstance(state, dict | None) for state in (optimizer, scheduler)):
        raise CheckpointError(f"{where}: invalid state of the optimizer or the scheduler")

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
        if tuple(steps.sums.shape[1:]) == (3,):  # of format 2
            unknown = torch.full((len(steps.sums), 2), math.nan, dtype=steps.sums.dtype)
            steps = replace(steps, sums=torch.cat([steps.sums, unknown], dim=1))
        fits = (
            (steps.losses.ndim, tuple(steps.sums.shape[1:])) == (1, (5,))
            and isinstance(steps.seconds, float)
            and all(map(_is_plain, (steps.losses, steps.sums, *steps.random)))
            and len(steps.random) > 0
        )
    except (TypeError, AttributeError):
        fits = False
    if not fits:
        raise CheckpointError(f"{where}: invalid `steps` of an epoch")
    return steps


def build_network(
    checkpoint: Checkpoint, where: str | Path, *, own: Collection[str] = ()
) -> SegmentationNetwork:
    """Build a checkpoint's network with its weights, in eval mode, on the CPU.

    Args:
        where: the checkpoint's name, for the message.
        own: names "MODULE:FUNCTION" of networks whose code may be run, as a person gave them. A
            checkpoint may come from anywhere, and is no reason to run what it names.

    Raises:
        CheckpointError: the weights are those of another architecture, or the run was stopped
            within an epoch, so that no scores exist for them; or its network cannot be made.
        ConfigError: it is a user's own network that `own` does not name.
        MissingExtraError: the network's library is not installed.
    """
    if checkpoint.steps is not None:
        raise CheckpointError(
            f"{where}: expected a network after a whole epoch, found one in the middle of epoch "
            f"{checkpoint.started}; complete it with train-unet --resume"
        )
    config = checkpoint.config
    if config.architecture.own and config.arch not in own:
        raise ConfigError(
            f"{where}: a network that the code {config.arch} makes, which only runs if you name it "
            f"too (export-onnx --arch {config.arch})"
        )
    try:
        _check_fit(config, checkpoint.weights, where)
        network = make_network(config.arch, config.width, config.size)
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    weights = checkpoint.encoder_weights
    if weights is not None and weights.stride_in_1x1:
        move_strides(network.encoder, where)
    load_weights(network, checkpoint.weights, where)
    if config.freeze_encoder:
        network.freeze_encoder()
    return network.eval()


def _check_fit(config: TrainConfig, weights: dict[str, Tensor], where: str | Path) -> None:
    """Raise CheckpointError where weights do not fit, before a network takes memory."""
    if config.architecture.own:  # whose code may need more than shapes
        return
    try:
        with torch.device("meta"):
            expected = make_network(config.arch, config.width, config.size).state_dict()
        fits = {n: v.shape for n, v in expected.items()} == {n: v.shape for n, v in weights.items()}
    except RuntimeError:  # a tensor beyond what PyTorch can count
        fits = False
    if not fits:
        raise misfit(config.arch, config.width, where)
