"""Training one network, from the data set to the best checkpoint."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from runtime.coco import read_dataset
from runtime.errors import ConfigError, OutputError
from runtime.files import ensure_writable, write_json
from runtime.machine import available_cores, installed_versions
from runtime.manifest import manifest_sha256
from runtime.schema import to_dict
from train.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    DataFacts,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from train.config import TrainConfig, same_run
from train.data import Batches, DecodedSplit, decode_split
from train.encoders import ENCODERS, ResNet50Encoder
from train.epoch import Progress, train_epoch, validate
from train.history import EpochRow, best_epoch, draw_curves, write_history
from train.network import UNet
from train.weights import EncoderWeights, load_encoder_weights


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run."""

    folder: Path
    best: Path
    config: TrainConfig
    parameters: int
    trained_parameters: int
    history: tuple[EpochRow, ...]


def train_network(
    config: TrainConfig,
    folder: str | Path,
    *,
    cache: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    listener: Callable[[Progress], None] = lambda _: None,
) -> TrainResult:
    """Train a network and write its checkpoints, history and curves to `folder`.

    `last.pt` holds the state after the last whole epoch, `best.pt` the network with the lowest
    validation loss so far; `history.csv`, `curves.png` and `config.json` stand beside them.

    Args:
        cache: where decoded data sets are kept.
        resume: go on after the last whole epoch in `folder`, if there is one. The final weights
            are those of an uninterrupted run.
        overwrite: replace a run that is in `folder` already.
        listener: called after each decoded image and each step.

    Raises:
        ConfigError: the device is not there, or the run to resume had other settings.
        DataError, CheckpointError, OutputError: a file cannot be read, used or written.
        NonFiniteLossError: the loss is not finite.
    """
    out = Path(folder)
    device, dtype = _device_and_dtype(config)
    if (out / LAST).exists() and not (resume or overwrite):
        raise OutputError(
            f"{out}: expected no finished or interrupted run, found one; give --resume, "
            "--overwrite or another --out"
        )
    ensure_writable(out)
    dataset = read_dataset(config.data)
    splits = [dataset.split("train"), dataset.split("valid")]
    data = DataFacts(
        dataset.name,
        manifest_sha256(splits),
        dataset.licence,
        {split.name: len(split.samples) for split in splits},
    )
    images = sum(data.images.values())
    decoded: list[DecodedSplit] = []
    for split in splits:
        before = sum(len(other.names) for other in decoded)

        def on_image(done: int, _: int, before: int = before) -> None:
            listener(Progress("decode", before + done, images))

        decoded.append(decode_split(split, config.size, config.masks, cache, on_image=on_image))
    train, valid = (Batches(split, config.batch_size, device) for split in decoded)

    with _settings(config):
        network, encoder_weights = _build(config)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        trained = [p for p in network.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(trained, lr=config.learning_rate)
        scheduler = make_scheduler(optimiser, config)
        history: tuple[EpochRow, ...] = ()
        if resume and (out / LAST).exists():
            last = _resumable(out / LAST, config, data)
            load_weights(network, last.weights, out / LAST)
            optimiser.load_state_dict(last.optimiser or {})
            scheduler.load_state_dict(last.scheduler or {})
            history = last.history

        first = len(history) + 1
        for epoch in range(first, config.epochs + 1):
            start = time.perf_counter()
            rate = optimiser.param_groups[0]["lr"]
            train_pass = train_epoch(network, optimiser, train, config, dtype, epoch, listener)
            middle = time.perf_counter()
            valid_pass = validate(network, valid, epoch, dtype)
            scheduler.step(valid_pass.loss)
            row = EpochRow(
                epoch=epoch,
                learning_rate=rate,
                seconds=time.perf_counter() - start,
                images_per_s=len(train.names) / (middle - start),
                train_loss=train_pass.loss,
                train_precision=train_pass.precision,
                train_recall=train_pass.recall,
                train_iou=train_pass.iou,
                valid_loss=valid_pass.loss,
                valid_precision=valid_pass.precision,
                valid_recall=valid_pass.recall,
                valid_iou=valid_pass.iou,
            )
            history = (*history, row)
            checkpoint = Checkpoint(
                config=config,
                data=data,
                encoder_weights=encoder_weights,
                versions=installed_versions("torch", "torchvision", "numpy", "pillow"),
                history=history,
                weights=network.state_dict(),
                optimiser=None,
                scheduler=None,
            )
            if epoch == first:  # not earlier, so that a run that fails leaves the one before whole
                if overwrite and not resume:
                    (out / LAST).unlink(missing_ok=True)
                write_json(out / "config.json", to_dict(config))
            # The best goes first: a run killed between the two repeats the epoch, best and all.
            if best_epoch(history) is row:
                save_checkpoint(out / BEST, checkpoint)
            save_checkpoint(
                out / LAST,
                replace(
                    checkpoint,
                    optimiser=optimiser.state_dict(),
                    scheduler=scheduler.state_dict(),
                ),
            )
            write_history(out / "history.csv", history)

    draw_curves(
        out / "curves.png", history, f"{config.name}, {data.name}, {config.size}x{config.size}"
    )
    count = sum(p.numel() for p in network.parameters())
    return TrainResult(out, out / BEST, config, count, sum(p.numel() for p in trained), history)


def make_scheduler(
    optimiser: torch.optim.Optimizer, config: TrainConfig
) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    """Return what lowers the learning rate after `patience` epochs without a lower loss."""
    # PyTorch acts on the epoch after `patience` bad ones, the study's protocol on the last of them.
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=config.decay, patience=config.patience - 1, threshold=0.0
    )


def _device_and_dtype(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device cuda: expected a CUDA device, found none")
    device = torch.device("cuda" if available and config.device != "cpu" else "cpu")
    halved = device.type == "cuda" and torch.cuda.is_bf16_supported()
    wanted = config.precision == "bf16" or (config.precision == "auto" and halved)
    return device, torch.bfloat16 if wanted else torch.float32


@contextmanager
def _settings(config: TrainConfig) -> Iterator[None]:
    """Seed and settings under which a run gives the same result twice, undone at the end."""
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads or available_cores())
    try:
        with (
            torch.random.fork_rng(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _build(config: TrainConfig) -> tuple[UNet, EncoderWeights | None]:
    network = UNet(config.arch, config.width)
    record = None
    if ENCODERS[config.arch].pretrained and config.encoder_weights != "none":
        assert isinstance(network.encoder, ResNet50Encoder)
        record = load_encoder_weights(network.encoder, config.encoder_weights)
    if config.freeze_encoder:
        network.freeze_encoder()
    return network, record


def _resumable(path: Path, config: TrainConfig, data: DataFacts) -> Checkpoint:
    last = load_checkpoint(path)
    changed = same_run(config, last.config)
    if changed is not None:
        raise ConfigError(
            f"{path}: expected a run with {changed} {getattr(config, changed)!r}, found one with "
            f"{getattr(last.config, changed)!r}"
        )
    if data.sha256 != last.data.sha256:
        raise ConfigError(f"{path}: expected a run on the same data, found one on other data")
    if last.epoch > config.epochs:
        raise ConfigError(
            f"{path}: expected at most {config.epochs} epochs, found {last.epoch} trained"
        )
    return last
