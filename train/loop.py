"""Training one network, from the data set to the best checkpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.coco import read_dataset
from runtime.errors import ConfigError, OutputError
from runtime.files import ensure_writable, write_json
from runtime.machine import installed_versions
from runtime.manifest import manifest_sha256
from runtime.schema import to_dict
from train.checkpoint import BEST, LAST, Checkpoint, DataFacts, save_checkpoint
from train.config import TrainConfig
from train.data import Batches, DecodedSplit, decode_split
from train.epoch import Progress, train_epoch, validate
from train.history import EpochRow, best_epoch, draw_curves, write_history
from train.setup import begin, choose_device, go_on, repeatable, seed_epoch, unfreeze


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
        ConfigError: the device is not there, the run to resume had other settings, or both
            `resume` and `overwrite` are asked for.
        DataError, CheckpointError, OutputError: a file cannot be read, used or written.
        NonFiniteLossError: the loss is not finite.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite: expected at most one of them, found both")
    out = Path(folder)
    device, dtype = choose_device(config)
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
    with repeatable(config, device):
        # Before the images are decoded, which takes long, so that what cannot start ends at once.
        state = begin(config, device)
        history: tuple[EpochRow, ...] = ()
        if resume and (out / LAST).exists():
            history = go_on(state, out / LAST, config, data)

        images = sum(data.images.values())
        decoded: list[DecodedSplit] = []
        for split in splits:
            before = sum(len(other.names) for other in decoded)

            def on_image(done: int, _: int, before: int = before) -> None:
                listener(Progress("decode", before + done, images))

            decoded.append(decode_split(split, config.size, config.masks, cache, on_image=on_image))
        train, valid = (Batches(split, config.batch_size, device) for split in decoded)

        network, optimiser = state.network, state.optimiser
        first = len(history) + 1
        for epoch in range(first, config.epochs + 1):
            start = time.perf_counter()
            seed_epoch(config.seed, epoch)
            if epoch == config.unfreeze_epoch:
                unfreeze(state, config.unfreeze_learning_rate)
            rate = optimiser.param_groups[0]["lr"]
            train_pass = train_epoch(network, optimiser, train, config, dtype, epoch, listener)
            middle = time.perf_counter()
            valid_pass = validate(network, valid, config, dtype, epoch)
            state.scheduler.step(valid_pass.loss)
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
                encoder_weights=state.encoder_weights,
                versions=installed_versions("torch", "torchvision", "numpy", "pillow"),
                history=history,
                weights=network.state_dict(),
                optimiser=None,
                scheduler=None,
            )
            if epoch == first:  # not earlier, so that a run that fails leaves the one before whole
                if overwrite:
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
                    scheduler=state.scheduler.state_dict(),
                ),
            )
            write_history(out / "history.csv", history)

    draw_curves(
        out / "curves.png", history, f"{config.name}, {data.name}, {config.size}x{config.size}"
    )
    count = sum(p.numel() for p in network.parameters())
    return TrainResult(out, out / BEST, config, count, state.trained_parameters, history)
