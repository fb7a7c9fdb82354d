"""A whole sweep: networks trained and exported, then all measured and scored in one run."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.measure.run import Measurement
from bench.measure.settings import MeasurementSettings, Scoring
from bench.sweep.config import SweepConfig, name_of
from bench.sweep.gains import conclude
from bench.sweep.result import SweepNetwork, SweepResult, write_sweep
from bench.training import EXPORT_IMAGES, epochs_done, seconds_per_image, train_as_work
from bench.work import Listener, Work
from export.onnx_export import export_checkpoints, is_exported
from export.request import ExportRequest
from runtime.core.errors import ModelError
from runtime.core.files import ensure_apart, ensure_replaceable, ensure_writable
from runtime.core.lock import locked
from runtime.core.progress import Progress
from runtime.data.coco import Dataset, read_dataset
from runtime.model.onnx_file import OnnxFile, read_onnx
from runtime.model.predictor import Predictor
from runtime.scoring.provenance import foreign_training
from train.checkpoint import LAST, load_checkpoint
from train.config import TrainConfig
from train.run import ensure_same_run

SPLITS = ("train", "valid", "test")


def run_sweep(
    config: SweepConfig,
    models: Sequence[Path],
    settings: MeasurementSettings,
    folder: str | Path,
    *,
    cache: str | Path,
    result_file: Path,
    listener: Listener = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> SweepResult:
    """Train and export a grid's networks, or what is not done of it, and measure them all.

    A network's run is in `folder`/NAME, its file is `folder`/NAME.onnx. A run that is finished
    there, and a file that was exported from it, are taken as they are; measuring begins anew, since
    only figures of one run may be compared.

    Args:
        models: further files, to be measured and scored beside the grid's.
        settings: of the measurement; all files are scored on the test split, at
            `config.scored_at`.
        cache: where decoded data sets are kept.
        result_file: where the result goes, and what was measured so far where measuring ends early.
        stop: asked before each step, and within training and measuring after each of theirs.

    Raises:
        StoppedError: `stop` was True.
        ModelError: a file of `models` cannot be run; found before anything is trained, as are wrong
            settings, data or weights, and runs in `folder` with other settings.
        OutputError: nothing can be written, or another process is at work in `folder`.
        SegmentationError: training or an export failed; what was done before is kept.
    """
    out, work = Path(folder), Work(listener, stop)
    work.begin("read the data")
    dataset = read_dataset(config.data)
    for name in SPLITS:
        dataset.split(name)
    taken = [_readable(path) for path in models]
    ensure_writable(out)
    ensure_apart([result_file], [*models, *dataset.files])
    ensure_replaceable(result_file)
    with locked(out):
        runs = {out / name_of(run): run for run in config.networks}
        _plan(runs, dataset, settings, len(taken), work)
        trained = [_train(folder, run, Path(cache), work) for folder, run in runs.items()]
        own = {Path(network.path).resolve() for network in trained}
        taken = [file for file in taken if file.path.resolve() not in own]
        networks = [*trained, *(_describe(file, taken=True) for file in taken)]
        warnings = foreign_training(taken, dataset)
        scoring = Scoring(config.data, "test", "boxes", config.scored_at)
        piece = "measure the networks"
        work.begin(piece)

        def on_progress(progress: Progress) -> None:
            work.advance(progress.fraction, progress.note)
            work.check(piece)

        files = [Path(network.path) for network in networks]
        measurement = Measurement(files, replace(settings, scoring=scoring), on_progress)
        try:
            measurement.run()
        finally:  # what was measured so far is kept, whatever ends it
            result = conclude(networks, measurement.result(), warnings)
            write_sweep(result_file, result)
    return result


def _readable(path: Path) -> OnnxFile:
    """Return what a file states. Raises ModelError where it cannot be run as it is."""
    file = read_onnx(path)
    if file.metadata is None and any(None in value.shape[2:] for value in file.inputs):
        raise ModelError(
            f"{path}: expected a file that states the size of its input, found one that does not"
        )
    return Predictor(path, threads=1).file


def _plan(
    runs: dict[Path, TrainConfig],
    dataset: Dataset,
    settings: MeasurementSettings,
    taken: int,
    work: Work,
) -> None:
    """Estimate the seconds of what is left to do, as a study does, and refuse what cannot go on.

    Raises:
        ConfigError, CheckpointError: a network cannot be trained, which is told before hours are
            spent on another one.
    """
    images = {name: len(dataset.split(name).samples) for name in SPLITS}
    for folder, run in runs.items():
        if (folder / LAST).exists():
            ensure_same_run(folder / LAST, load_checkpoint(folder / LAST), run)
        left = run.epochs - epochs_done(folder)
        if left > 0:
            each = seconds_per_image(run)
            work.plan(f"train {folder.name}", left * each * (images["train"] + images["valid"] / 3))
            work.plan(f"export {folder.name}", each * EXPORT_IMAGES / 3)
    work.plan("measure the networks", (len(runs) + taken) * settings.rule.max_seconds)


def _train(folder: Path, run: TrainConfig, cache: Path, work: Work) -> SweepNetwork:
    """Train and export a network, each where that is not done yet."""
    work.begin(f"train {folder.name}")
    result = train_as_work(run, folder, cache, work)
    work.begin(f"export {folder.name}")
    output = folder.with_name(f"{folder.name}.onnx")
    if not is_exported(result.best, output):
        threads = run.threads or None
        export_checkpoints(ExportRequest([result.best], output, data=run.data, threads=threads))
    return _describe(read_onnx(output), taken=False)


def _describe(file: OnnxFile, *, taken: bool) -> SweepNetwork:
    metadata = file.metadata
    training = None if metadata is None else metadata.training
    return SweepNetwork(
        path=str(file.path),
        taken=taken,
        arch=None if metadata is None else metadata.network.arch,
        width=None if metadata is None else metadata.network.width,
        size=None if metadata is None else (metadata.input.height, metadata.input.width),
        epochs=None if training is None else training.epochs,
        best_epoch=None if training is None else training.best_epoch,
    )
