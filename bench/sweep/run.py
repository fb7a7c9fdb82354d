"""A whole sweep: networks are trained and exported, then all are measured in one run."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.measure.estimates import expected_seconds
from bench.measure.partial_result import PartialResult
from bench.measure.result import interrupted_file
from bench.measure.run import Measurement
from bench.measure.settings import MeasurementSettings, Scoring
from bench.schedule import Schedule
from bench.sweep.config import SweepConfig, name_of
from bench.sweep.gains import conclude
from bench.sweep.result import SweepNetwork, SweepResult, write_sweep
from bench.training import TrainingTask, epochs_done, measure_cost, train_step
from export.onnx_export import export_checkpoints, is_exported
from export.request import ExportRequest
from runtime.core.errors import ModelError
from runtime.core.files import ensure_apart, ensure_replaceable, ensure_writable
from runtime.core.lock import locked
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.coco import Dataset
from runtime.model.onnx_file import OnnxFile, read_onnx
from runtime.model.predictor import Predictor
from runtime.scoring.provenance import foreign_training
from train.checkpoint import load_checkpoint
from train.config import TrainConfig
from train.resumable_run import ensure_same_run
from train.run_folder import LAST
from train.state import choose_device, settle_precision
from train.targets import read_training_splits

SPLITS = ("train", "valid", "test")
MEASURE = "measure the networks"


def run_sweep(
    config: SweepConfig,
    models: Sequence[Path],
    settings: MeasurementSettings,
    folder: str | Path,
    *,
    cache: str | Path,
    result_file: Path,
    dataset: Dataset | None = None,
    scheduler: str | None = None,
    on_progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> SweepResult:
    """Train and export the networks of a grid, or the missing ones, and measure them all.

    The run of a network is in `folder`/NAME, its file is `folder`/NAME.onnx. Finished runs and
    their files are reused. The measurement always starts anew, because only numbers of one run may
    be compared.

    Args:
        models: further files to measure and score together with the grid's.
        settings: of the measurement; all files are scored on the test split, at
            `config.scored_at`.
        cache: folder of the cache of decoded data sets.
        result_file: JSON file of the result; the partial one if the measurement ends early.
        dataset: the data set of `config`, where it was read before.
        scheduler: of a Dask cluster whose workers train the networks at the same time
            (`bench.cluster_training`); `folder`, `cache` and the data set must be shared.
        on_progress: called when a step starts and advances, with estimated seconds.
        stop: asked before each step, and during training and measurement.

    Raises:
        StoppedError: `stop` returned True.
        ModelError: a file of `models` cannot be run. This, wrong settings, data or weights, and
            runs in `folder` with other settings are found before anything is trained.
        OutputError: a file cannot be written, or another process uses `folder`.
        SegmentationError: training or an export failed; earlier results are kept.
    """
    out, schedule = Path(folder), Schedule(on_progress, stop)
    schedule.start("read the data")
    data = read_training_splits(config.networks[0], dataset)
    dataset, config = data.dataset, replace(config, masks=data.config.masks)
    dataset.split("test")
    given = [_readable(path) for path in models]
    ensure_writable(out)
    ensure_apart([result_file], [*models, *dataset.files])
    ensure_replaceable(result_file)
    with locked(out):
        runs = {out / name_of(run): run for run in config.networks}
        _add_steps(runs, dataset, settings, len(given), schedule)
        if scheduler is not None:
            from bench.cluster_training import train_on_cluster

            tasks = [
                TrainingTask(f"train {one.name}", run, one, Path(cache))
                for one, run in runs.items()
            ]
            train_on_cluster(scheduler, tasks, schedule)
        trained = [
            _train(folder, run, Path(cache), schedule, dataset) for folder, run in runs.items()
        ]
        own = {Path(network.path).resolve() for network in trained}
        given = [file for file in given if file.path.resolve() not in own]
        networks = [*trained, *(_describe(file, given=True) for file in given)]
        warnings = foreign_training(given, dataset)
        scoring = Scoring(config.data, "test", config.masks, config.scored_at, config.categories)
        scored = replace(settings, scoring=scoring)
        return _measure(networks, scored, warnings, result_file, schedule)


def _measure(
    networks: Sequence[SweepNetwork],
    settings: MeasurementSettings,
    warnings: tuple[str, ...],
    result_file: Path,
    schedule: Schedule,
) -> SweepResult:
    """Measure all networks in one run and write the result; that of a partial run beside it."""
    schedule.start(MEASURE)

    def on_progress(progress: Progress) -> None:
        schedule.advance(progress.fraction, progress.note)
        schedule.check()

    files = [Path(network.path) for network in networks]
    measurement = Measurement(files, settings, on_progress)
    place = interrupted_file(result_file)
    try:
        measurement.run()
        place = result_file
    finally:
        result = conclude(networks, measurement.result(), warnings)
        write_sweep(place, result)
    return result


def _readable(path: Path) -> OnnxFile:
    """Return a given file. Raises ModelError if it cannot be run, or does not state its size."""
    file = read_onnx(path)
    if file.metadata is None and any(None in value.shape[2:] for value in file.inputs):
        raise ModelError(f"{path}: the file does not state the size of its input")
    return Predictor(path, threads=1).file


def _add_steps(
    runs: dict[Path, TrainConfig],
    dataset: Dataset,
    settings: MeasurementSettings,
    given: int,
    schedule: Schedule,
) -> None:
    """Add the steps that are left to the schedule, with times from a few training steps.

    Raises:
        ConfigError, CheckpointError: a network cannot be trained or its run cannot be resumed;
            found before hours are spent on another one.
    """
    images = {name: len(dataset.split(name).samples) for name in SPLITS}
    for folder, run in runs.items():
        if (folder / LAST).exists():
            settled = settle_precision(run, choose_device(run))
            ensure_same_run(folder / LAST, load_checkpoint(folder / LAST), settled)
        left = run.epochs - epochs_done(folder)
        if left > 0:
            cost = measure_cost(run)
            training_s = cost.training_s(left, images["train"], images["valid"])
            schedule.add(f"train {folder.name}", training_s, kind="train")
            schedule.add(f"export {folder.name}", cost.export_s, kind="export")
    # Nothing is known of the files yet, not even where they will be.
    files = [PartialResult(Path(), settings.providers[0])] * (len(runs) + given)
    phases = expected_seconds(files, settings, images["test"])
    schedule.add(MEASURE, sum(phases.values()))


def _train(
    folder: Path, run: TrainConfig, cache: Path, schedule: Schedule, dataset: Dataset
) -> SweepNetwork:
    """Train and export a network, unless that is done already."""
    schedule.start(f"train {folder.name}")
    result = train_step(run, folder, cache, schedule, dataset)
    schedule.start(f"export {folder.name}")
    output = folder.with_name(f"{folder.name}.onnx")
    if not is_exported(result.best, output, own=[run.arch]):
        request = ExportRequest(
            [result.best], output, data=run.data, threads=run.threads, own=[run.arch]
        )
        export_checkpoints(request, on_progress=lambda p: schedule.advance(0.0, p.phase))
    return _describe(read_onnx(output), given=False)


def _describe(file: OnnxFile, *, given: bool) -> SweepNetwork:
    metadata = file.metadata
    training = None if metadata is None else metadata.training
    return SweepNetwork(
        path=str(file.path),
        given=given,
        arch=None if metadata is None else metadata.network.arch,
        width=None if metadata is None else metadata.network.width,
        size=None if metadata is None else (metadata.input.height, metadata.input.width),
        epochs=None if training is None else training.epochs,
        best_epoch=None if training is None else training.best_epoch,
    )
