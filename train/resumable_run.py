"""A run that can be killed at any moment and resumed: its state, its history and its folder."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from runtime.core.errors import CheckpointError, ConfigError, StoppedError
from runtime.core.files import remove_unfinished, write_all
from runtime.core.json_files import json_text
from runtime.core.machine import installed_versions
from runtime.core.progress import Progress, ProgressCallback, counted
from runtime.core.schema import to_dict
from runtime.data.split import Split
from train.checkpoint import (
    Checkpoint,
    DataFacts,
    checkpoint_bytes,
    load_checkpoint,
)
from train.config import TrainConfig, differing_setting
from train.data import Batches, decode_split
from train.determinism import restore_random, seed_epoch
from train.epoch import EpochMeans, EpochSteps, summarize
from train.history import CURVES, HISTORY, EpochRow, best_epoch, draw_curves, write_history
from train.pictures import (
    EVERY_EPOCHS,
    FIRST_BATCH,
    draw_first_batch,
    draw_predictions,
    predictions_file,
)
from train.run_folder import BEST, LAST
from train.state import initialize_state

CONFIG = "config.json"


class ResumableRun:
    """A run's state, its history, and the folder that both are saved to.

    A run that is killed at any moment can be resumed: files are replaced as a whole, in an order
    that leaves a run behind at each point.

    Args:
        folder: of this run only (`runtime.core.lock.locked`).
        data: the data set that the network is trained on.

    Raises:
        CheckpointError: the encoder's weights cannot be loaded.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, data: DataFacts, device: torch.device
    ) -> None:
        remove_unfinished(folder)
        self.config, self.folder, self.data = config, folder, data
        self.state = initialize_state(config, device)
        self.history: tuple[EpochRow, ...] = ()
        self.resumed: EpochSteps | None = None
        """Steps of the current epoch that were trained before the run was resumed."""
        self._in_folder = False

    def resume(self) -> None:
        """Continue where the run in the folder was stopped.

        Raises:
            CheckpointError: a checkpoint cannot be loaded, or is missing.
            ConfigError: the run had other settings, other data, or more epochs.
        """
        path, state = self.folder / LAST, self.state
        last = load_checkpoint(path)
        ensure_same_run(path, last, self.config)
        self._ensure_same_inputs(path, last)
        if 0 < self.config.unfreeze_epoch <= last.started:
            state.unfreeze_encoder()
        state.restore(last.weights, last.optimizer, last.scheduler, path)
        if last.steps is not None:
            try:
                restore_random(last.steps.random, state.device)
            except (RuntimeError, TypeError) as error:
                raise CheckpointError(f"{path}: invalid states of random generators") from error
        if last.history and not (self.folder / BEST).is_file():
            raise CheckpointError(f"{self.folder / BEST}: the run's best network is missing")
        self.history, self.resumed, self._in_folder = last.history, last.steps, True

    def _ensure_same_inputs(self, path: Path, last: Checkpoint) -> None:
        found, given = last.encoder_weights, self.state.encoder_weights
        if (found and found.identity) != (given and given.identity):
            raise ConfigError(
                f"{path}: expected a run with the encoder weights {self.config.encoder_weights}, "
                f"found one with {last.config.encoder_weights}"
            )
        if self.data.sha256 != last.data.sha256:
            raise ConfigError(f"{path}: this run was trained on other data")

    def decode(
        self,
        splits: tuple[Split, Split],
        cache: str | Path,
        on_progress: ProgressCallback | None,
        stop: Callable[[], bool],
    ) -> tuple[Batches, Batches]:
        """Return the batches of the training and the validation split, decoded or from the cache.

        Raises:
            ConfigError: too few training images for batch normalization.
            StoppedError: `stop` returned True.
        """
        total, done = sum(len(split.samples) for split in splits), 0

        def report(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(Progress(done + progress.done, total, "decode"))
            if stop():
                raise StoppedError(f"{self.folder}: stopped before the first step")

        config, batches = self.config, []
        for split, smallest in zip(splits, (config.smallest_batch, 1), strict=True):
            if len(split.samples) < smallest:
                raise ConfigError(
                    f"size: at {config.size} batch normalization needs at least {smallest} "
                    f"training images, found {len(split.samples)}"
                )
            decoded = decode_split(
                split,
                config.size,
                config.mask_kind,
                cache,
                resize=config.resize,
                on_progress=report,
            )
            batches.append(
                Batches(decoded, config.batch_size, self.state.device, smallest=smallest)
            )
            done += len(split.samples)
        return batches[0], batches[1]

    def remaining_epochs(self) -> range:
        """Return the epochs that are not completed yet; 1 is the first."""
        return range(len(self.history) + 1, self.config.epochs + 1)

    def start_epoch(self, epoch: int) -> float:
        """Prepare the state for an epoch, unless it was started before; return its rate."""
        if self.resumed is None:
            seed_epoch(self.config.seed, epoch)
            if epoch == self.config.unfreeze_epoch:
                self.state.unfreeze_encoder()
        return self.state.learning_rate

    def end_epoch(
        self,
        epoch: int,
        learning_rate: float,
        steps: EpochSteps,
        valid: EpochMeans,
        *,
        validation_seconds: float,
    ) -> None:
        """Add an epoch to the history, and lower the learning rate where that is due."""
        train = summarize(steps.losses, steps.sums, self.config)
        row = EpochRow(
            epoch=epoch,
            learning_rate=learning_rate,
            seconds=steps.seconds + validation_seconds,
            images_per_s=len(steps.sums) / steps.seconds,
            **{f"train_{name}": value for name, value in asdict(train).items()},
            **{f"valid_{name}": value for name, value in asdict(valid).items()},
            arithmetic=self.config.precision,
        )
        self.state.scheduler.step(valid.loss)
        self.history = (*self.history, row)
        self.resumed = None

    def save(self, steps: EpochSteps | None = None) -> None:
        """Write the run's checkpoints and history.

        Args:
            steps: of the current epoch, where the run stops within it.

        Raises:
            OutputError: a file cannot be written; the earlier files remain.
        """
        checkpoint = self._checkpoint(steps)
        contents: dict[str, bytes | memoryview] = {}
        if not self._in_folder:
            contents[CONFIG] = _config_bytes(self.config)
        # The best is written first: a run killed between the two repeats the epoch.
        if steps is None and best_epoch(self.history) is self.history[-1]:
            contents[BEST] = checkpoint_bytes(replace(checkpoint, optimizer=None, scheduler=None))
        contents[LAST] = checkpoint_bytes(checkpoint)
        # An earlier run is removed only now. `last.pt` goes first: without it the others are not
        # taken for a run.
        earlier = () if self._in_folder else (LAST, BEST, HISTORY, CURVES, *self._pictures())
        write_all(self.folder, contents, removing=earlier)
        self._in_folder = True
        if self.history:
            write_history(self.folder / HISTORY, self.history)

    def draw(self, epoch: int, train: Batches, valid: Batches) -> None:
        """Write the pictures that are due after an epoch. Raises OutputError."""
        if epoch == 1:
            draw_first_batch(self.folder / FIRST_BATCH, train, self.config)
        if epoch in (1, self.config.epochs) or epoch % EVERY_EPOCHS == 0:
            file = self.folder / predictions_file(epoch)
            draw_predictions(file, valid, self.state.network)

    def _pictures(self) -> list[str]:
        return [FIRST_BATCH, *(path.name for path in self.folder.glob("valid-epoch-*.png"))]

    def finish(self) -> None:
        """Write the files that describe the whole run. Raises OutputError, CheckpointError."""
        folder, config = self.folder, self.config
        best = load_checkpoint(folder / BEST)
        if best.config != config:
            # The run was resumed with more epochs, and none of them was better.
            write_all(folder, {BEST: checkpoint_bytes(replace(best, config=config))})
        write_all(folder, {CONFIG: _config_bytes(config)})
        write_history(folder / HISTORY, self.history)
        title = f"{config.name}, {self.data.name}, {config.size}x{config.size}"
        draw_curves(folder / CURVES, self.history, title)

    def _checkpoint(self, steps: EpochSteps | None) -> Checkpoint:
        return Checkpoint(
            config=self.config,
            data=self.data,
            encoder_weights=self.state.encoder_weights,
            versions=installed_versions("torch", "torchvision", "numpy", "pillow"),
            history=self.history,
            weights=self.state.network.state_dict(),
            optimizer=self.state.optimizer.state_dict(),
            scheduler=self.state.scheduler.state_dict(),
            steps=steps,
        )


def ensure_same_run(path: Path, last: Checkpoint, config: TrainConfig) -> None:
    """Raise ConfigError where a run with these settings cannot continue from a checkpoint."""
    name = differing_setting(config, last.config)
    if name is not None:
        raise ConfigError(
            f"{path}: expected a run with {name} {getattr(config, name)!r}, found one with "
            f"{getattr(last.config, name)!r}"
        )
    if last.started > config.epochs:
        raise ConfigError(
            f"{path}: expected at most {counted(config.epochs, 'epoch')}, found {last.started} "
            "trained"
        )


def _config_bytes(config: TrainConfig) -> bytes:
    return json_text(to_dict(config)).encode()
