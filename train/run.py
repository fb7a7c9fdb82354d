"""A training run, from the data set to the best checkpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from runtime.core.errors import StoppedError
from runtime.core.files import ensure_writable
from runtime.core.lock import locked
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.coco import Dataset
from train.checkpoint import DataFacts
from train.config import TrainConfig
from train.determinism import repeatable
from train.epoch import train_epoch, validate
from train.history import EpochRow, epoch_line
from train.memory import retain_memory
from train.resumable_run import ResumableRun
from train.run_folder import BEST, LAST, ensure_free
from train.state import choose_device, device_name, settle_precision
from train.step_memory import ensure_step_fits
from train.targets import read_training_splits


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: of the run.
        best: the checkpoint with the lowest validation loss.
        device: name of the processor that trained it: "CPU", or what a CUDA device calls itself.
        parameters, trained_parameters: numbers of the network's parameters, and of those trained.
    """

    folder: Path
    best: Path
    config: TrainConfig
    device: str
    parameters: int
    trained_parameters: int
    history: tuple[EpochRow, ...]


def train_network(
    config: TrainConfig,
    folder: str | Path,
    *,
    cache: str | Path,
    dataset: Dataset | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Train a network and write its checkpoints, history and curves to `folder`.

    `last.pt` holds the state after the last whole epoch, or where the run was stopped; `best.pt`
    the network with the lowest validation loss so far. `config.json`, `history.csv` and
    `curves.png` describe the run. `first-batch.png` shows training images as the network saw them,
    `valid-epoch-NNN.png` predictions after the first, each fifth and the last epoch.

    Args:
        cache: folder of decoded data sets.
        dataset: the data set of `config`, where it was read before.
        resume: continue the run in `folder`, if there is one. The final weights are those of an
            uninterrupted run.
        overwrite: replace a run in `folder`.
        on_progress: called after each decoded image (phase "decode"), each batch of training and
            validation (phase "train", with the epoch and its mean loss as note) and each epoch (a
            milestone).
        stop: called after each decoded image, step and validation batch. When it returns True, the
            run saves its state to `last.pt` and ends.

    Raises:
        ConfigError: the device does not exist, a step cannot fit into its memory, the network
            cannot be compiled, the run to resume had other settings, or both `resume` and
            `overwrite` are given.
        DataError, CheckpointError: a file cannot be read or used.
        OutputError: a file cannot be written, or another process trains in `folder`.
        NonFiniteLossError: the loss is not finite.
        StoppedError: `stop` returned True.
    """
    out, device = Path(folder), choose_device(config)
    # Before the folder is made, or refused data would leave it.
    data = read_training_splits(config, dataset)
    config = settle_precision(data.config, device)
    splits = data.train, data.valid
    held = _held(out, resume=resume, overwrite=overwrite)
    with held, repeatable(config, device), retain_memory():
        # Before the images are decoded, which takes long, so that a faulty run ends at once.
        run = ResumableRun(config, out, DataFacts.of(data.dataset, splits), device)
        ensure_step_fits(run.state, len(data.train.samples))
        if resume and (out / LAST).exists():
            run.resume()
        train, valid = run.decode(splits, cache, on_progress, stop)
        if run.history and run.resumed is None:
            # The run may have been killed after a checkpoint and before its pictures.
            run.draw(len(run.history), train, valid)
        for epoch in run.remaining_epochs():
            rate = run.start_epoch(epoch)
            report = _counting(on_progress, config.epochs, epoch, len(train), len(valid))
            steps = train_epoch(
                run.state, train, epoch, resumed=run.resumed, on_progress=report, stop=stop
            )
            start, means = perf_counter(), None
            if len(steps.losses) == len(train) and not stop():
                means = validate(run.state, valid, epoch, on_progress=report, stop=stop)
            if means is None:
                run.save(steps)
                raise StoppedError(
                    f"{out}: stopped after step {len(steps.losses)} of {len(train)} in epoch "
                    f"{epoch}; it can be resumed"
                )
            run.end_epoch(epoch, rate, steps, means, validation_seconds=perf_counter() - start)
            run.save()
            run.draw(epoch, train, valid)
            _report(run, epoch, len(train) + len(valid), on_progress)
        run.finish()
        state = run.state
        return TrainResult(
            out,
            out / BEST,
            config,
            device_name(device),
            state.parameters,
            state.trained_parameters,
            run.history,
        )


def _counting(
    on_progress: ProgressCallback | None, epochs: int, epoch: int, train: int, valid: int
) -> ProgressCallback | None:
    """Return a callback for an epoch that counts its training and its validation batches alike.

    Otherwise the last validation, which takes a while, would come when no time is left.
    """
    if on_progress is None:
        return None
    report, before, total = on_progress, (epoch - 1) * valid, epochs * (train + valid)

    def count(step: Progress) -> None:
        if step.phase == "validate":
            done, note = epoch * train + step.done, f"epoch {epoch}/{epochs}, validation"
        else:
            done, note = step.done, step.note
        report(Progress(before + done, total, "train", note))

    return count


def _report(
    run: ResumableRun, epoch: int, batches: int, on_progress: ProgressCallback | None
) -> None:
    """Report a whole epoch of so many batches."""
    if on_progress is not None:
        line = epoch_line(run.history, run.config.epochs)
        total = batches * run.config.epochs
        on_progress(Progress(batches * epoch, total, "train", line, milestone=True))


@contextmanager
def _held(out: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the folder of a run; a new one is removed again where nothing was written to it."""
    existed = out.exists()
    ensure_free(out, resume=resume, overwrite=overwrite)
    ensure_writable(out)
    try:
        with locked(out):
            yield
    except BaseException:
        if not existed:
            with suppress(OSError):  # it is not empty
                out.rmdir()
        raise
