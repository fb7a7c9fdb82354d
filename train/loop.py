"""Training one network, from the data set to the best checkpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import CheckpointError, ConfigError, OutputError, StoppedError
from runtime.core.files import ensure_writable
from runtime.core.lock import locked
from runtime.core.machine import installed_versions
from runtime.data.coco import Split, manifest_sha256, read_dataset
from train.checkpoint import BEST, LAST, Checkpoint, DataFacts
from train.config import TrainConfig
from train.data import Batches, DecodedSplit, decode_split
from train.epoch import EpochSteps, Progress, summarize, train_epoch, validate
from train.history import EpochRow
from train.memory import kept_memory
from train.objective import make_objective
from train.run_folder import RunFolder
from train.seeds import seed_epoch
from train.setup import begin, choose_device, go_on, repeatable, unfreeze


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
    stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Train a network and write its checkpoints, history and curves to `folder`.

    `last.pt` holds the state after the last whole epoch, or where the run was stopped; `best.pt`
    the network with the lowest validation loss so far; `history.csv`, `curves.png` and
    `config.json` stand beside them.

    Args:
        cache: where decoded data sets are kept.
        resume: go on where the run in `folder` was interrupted, if there is one. The final weights
            are those of an uninterrupted run.
        overwrite: replace a run that is in `folder` already.
        listener: called after each decoded image and each step.
        stop: asked after each decoded image, step and validation batch; where it is True, the run
            writes where it is to `last.pt` and ends.

    Raises:
        ConfigError: the device is not there, the network cannot be compiled on it, the run to
            resume had other settings, or both `resume` and `overwrite` are asked for.
        DataError, CheckpointError: a file cannot be read or used.
        OutputError: a file cannot be written, or another process trains in `folder`.
        NonFiniteLossError: the loss is not finite.
        StoppedError: `stop` was True.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite: expected at most one of them, found both")
    out = Path(folder)
    device, dtype = choose_device(config)
    if (out / LAST).exists() and not (resume or overwrite):
        with locked(out):  # by another process, it is not this one's to resume or to replace
            pass
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
        dataset.license,
        {split.name: len(split.samples) for split in splits},
    )
    with locked(out), repeatable(config, device), kept_memory():
        # Before the images are decoded, which takes long, so that what cannot start ends at once.
        state = begin(config, device)
        history: tuple[EpochRow, ...] = ()
        begun: EpochSteps | None = None
        going_on = resume and (out / LAST).exists()
        if going_on:
            history, begun = go_on(state, out / LAST, config, data, device)
            if history and not (out / BEST).is_file():
                raise CheckpointError(f"{out / BEST}: expected the run's best network, found none")
        kept = RunFolder(out, new=not going_on)
        decoded = _decode(splits, config, cache, out, listener, stop)
        train, valid = (Batches(split, config.batch_size, device) for split in decoded)

        network, optimizer = state.network, state.optimizer
        objective = make_objective(network, config, device, dtype)

        def checkpoint(steps: EpochSteps | None = None) -> Checkpoint:
            return Checkpoint(
                config=config,
                data=data,
                encoder_weights=state.encoder_weights,
                versions=installed_versions("torch", "torchvision", "numpy", "pillow"),
                history=history,
                weights=network.state_dict(),
                optimizer=optimizer.state_dict(),
                scheduler=state.scheduler.state_dict(),
                steps=steps,
            )

        for epoch in range(len(history) + 1, config.epochs + 1):
            if begun is None:
                seed_epoch(config.seed, epoch)
                if epoch == config.unfreeze_epoch:
                    unfreeze(state, config.unfreeze_learning_rate)
            rate = optimizer.param_groups[0]["lr"]
            steps = train_epoch(
                network, objective, optimizer, train, config, epoch, listener,
                begun=begun, stop=stop,
            )  # fmt: skip
            begun = None
            start = time.perf_counter()
            valid_pass = None
            if len(steps.losses) == len(train) and not stop():
                valid_pass = validate(network, objective, valid, config, epoch, stop=stop)
            if valid_pass is None:
                kept.save(checkpoint(steps))
                raise StoppedError(
                    f"{out}: stopped after step {len(steps.losses)} of {len(train)} in epoch "
                    f"{epoch}, where it can be resumed"
                )
            state.scheduler.step(valid_pass.loss)
            train_pass = summarize(steps.losses, steps.sums, config)
            row = EpochRow(
                epoch=epoch,
                learning_rate=rate,
                seconds=steps.seconds + time.perf_counter() - start,
                images_per_s=len(train.names) / steps.seconds,
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
            kept.save(checkpoint())
        kept.finish(config, history, f"{config.name}, {data.name}, {config.size}x{config.size}")

    count = sum(p.numel() for p in network.parameters())
    return TrainResult(out, out / BEST, config, count, state.trained_parameters, history)


def _decode(
    splits: list[Split],
    config: TrainConfig,
    cache: str | Path,
    out: Path,
    listener: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> list[DecodedSplit]:
    images = sum(len(split.samples) for split in splits)
    decoded: list[DecodedSplit] = []
    for split in splits:
        before = sum(len(other.names) for other in decoded)

        def on_image(done: int, _: int, before: int = before) -> None:
            listener(Progress("decode", before + done, images))
            if stop():
                raise StoppedError(f"{out}: stopped before the first step")

        decoded.append(decode_split(split, config.size, config.masks, cache, on_image=on_image))
    return decoded
