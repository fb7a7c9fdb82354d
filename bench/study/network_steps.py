"""The steps of each network in a study: training, export, evaluation, timing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.schedule import Schedule
from bench.study.config import ENSEMBLE, Run, StudyConfig
from bench.study.prepare import Prepared
from bench.study.result import Exported, Trained
from bench.study.step_cache import StepCache
from bench.training import TrainingCost, TrainingTask, epochs_done, measure_cost, train_step
from export.onnx_export import ExportResult, export_checkpoints
from export.request import ExportRequest
from runtime.core.progress import Progress
from runtime.core.schema import to_dict
from runtime.data.targets import choose_targets, training_splits
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.provider_choice import ProviderChoice
from runtime.model.provider_devices import check_available
from runtime.model.sessions import Engine
from runtime.model.timing import PredictionLatency, measure_latency
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.evaluation import Evaluation, evaluate
from runtime.scoring.results import VERSION
from train.checkpoint import load_checkpoint
from train.config import TrainConfig
from train.resumable_run import ensure_same_run
from train.run_folder import BEST, LAST

TIMING, REPORT = "time the networks", "write the report"
_TIMED_RUNS = 70
"""Of each network: thirty, an untimed one before each, and the warm-up."""
_REPORT_S = 14.0
"""The figures and tables of a split, on a common machine."""


@dataclass(frozen=True, slots=True)
class _Latencies:
    networks: tuple[PredictionLatency, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a network on the test images, what computed them, and the choice of "auto"."""

    evaluation: Evaluation
    engine: Engine
    choice: ProviderChoice | None = None


@dataclass(frozen=True, slots=True)
class _Baselines:
    baselines: tuple[Evaluation, ...]


class NetworkSteps:
    """The steps of a study's networks, each carried out once.

    Args:
        config: of the study, with masks and precision settled.
        folder: of the study; a run is in KIND/seed-SEED/NAME, its file is NAME.onnx beside it.
        cache: folder of the cache of decoded data sets.
        results: the cache of finished steps.
    """

    def __init__(
        self,
        config: StudyConfig,
        prepared: Prepared,
        folder: Path,
        cache: Path,
        results: StepCache,
        schedule: Schedule,
    ) -> None:
        self._config = config
        self._masks = choose_targets(config.masks, training_splits(prepared.original)).masks
        self._data = prepared
        self._folder = folder
        self._cache = cache
        self._results = results
        self._schedule = schedule

    def schedule(self) -> None:
        """Add the steps that are left to the schedule, with times from a few training steps.

        Raises:
            ConfigError, CheckpointError, ProviderError: a network cannot be trained, its run not be
                resumed, or its file not be scored as requested; found before hours are spent.
        """
        check_available(self._config.provider)
        costs: dict[tuple[str, bool], TrainingCost] = {}
        for run in self._config.runs:
            steps = self._left(run)
            training = "train" in steps
            if training:
                self._ensure_resumable(run)
            if steps and (run.network, training) not in costs:
                costs[run.network, training] = self._measure_cost(run, training=training)
            for step in steps:
                seconds = self._expected_seconds(step, run, costs[run.network, training])
                self._schedule.add(f"{step} {run.title}", seconds, kind=step)
        timed = {network: cost for (network, _), cost in costs.items()}
        for run in self._ensembles():
            seconds = sum(cost.export_s for cost in timed.values())
            self._schedule.add(f"export {run.title}", seconds, kind="export")
            scored = [self._expected_seconds("evaluate", run, cost) for cost in timed.values()]
            self._schedule.add(f"evaluate {run.title}", sum(scored), kind="evaluate")
        self._schedule.add(TIMING, sum(c.evaluation_s(_TIMED_RUNS) for c in timed.values()))
        # Like a conversion, it is slower on a slower machine.
        seconds = _REPORT_S * len(self._config.splits)
        self._schedule.add(REPORT, seconds, kind="export")

    def _ensembles(self) -> list[Run]:
        """Return the ensemble of each kind of split and seed, where they are studied."""
        if ENSEMBLE not in self._config.networks:
            return []
        return list({replace(run, network=ENSEMBLE): None for run in self._config.runs})

    def _left(self, run: Run) -> tuple[str, ...]:
        """Return the steps of a run without a cached result."""
        trained = self._trained(run)
        if trained is None:
            return "train", "export", "evaluate"
        file = self._results.cached(*self._export_step(run, [trained]))
        if file is None or not (self._folder / file.path).is_file():
            return "export", "evaluate"
        scored = self._results.cached(*self._evaluation_step(run, file))
        return () if scored is not None else ("evaluate",)

    def _trained(self, run: Run) -> Trained | None:
        return self._results.cached(*self._training_step(run), files=[self._place(run) / BEST])

    def _ensure_resumable(self, run: Run) -> None:
        """Raise ConfigError or CheckpointError if the run was begun with other settings."""
        last = self._place(run) / LAST
        if last.is_file():
            ensure_same_run(last, load_checkpoint(last), self._training(run))

    def _measure_cost(self, run: Run, *, training: bool) -> TrainingCost:
        config = self._training(run)
        # The weights of a trained run's encoder may be gone, and cost nothing.
        return measure_cost(config if training else replace(config, encoder_weights="none"))

    def _expected_seconds(self, step: str, run: Run, cost: TrainingCost) -> float:
        splits = self._data.datasets[run.kind].splits
        images = {name: len(split.samples) for name, split in splits.items()}
        if step == "export":
            return cost.export_s
        if step == "evaluate":
            return cost.evaluation_s(images["test"])
        epochs = self._training(run).epochs - epochs_done(self._place(run))
        return cost.training_s(epochs, images["train"], images["valid"])

    def trainings(self) -> list[TrainingTask]:
        """Return the trainings that are left, as tasks of a cluster."""
        return [
            TrainingTask(f"train {run.title}", self._training(run), self._place(run), self._cache)
            for run in self._config.runs
            if self._trained(run) is None
        ]

    def train(self, run: Run) -> Trained:
        """Train a network, or resume its training."""
        self._schedule.start(f"train {run.title}")
        config, folder = self._training(run), self._place(run)

        def make() -> Trained:
            data = self._data.datasets[run.kind]
            result = train_step(config, folder, self._cache, self._schedule, data)
            return Trained(
                name=config.name,
                checkpoint=result.best.relative_to(self._folder).as_posix(),
                parameters=result.parameters,
                trained_parameters=result.trained_parameters,
                history=result.history,
                device=result.device,
            )

        return self._results.result(*self._training_step(run), make, files=[folder / BEST])

    def _training_step(self, run: Run) -> tuple[str, object, type[Trained]]:
        """Return the name, the inputs and the kind of result of a training, for the cache."""
        config = {**to_dict(self._training(run)), "data": ""}
        return f"train-{run.step}", [config, self._data.sha256[run.kind]], Trained

    def export(self, run: Run, members: Sequence[Trained]) -> Exported:
        """Export a network, or the mean of several as one file, the ensemble."""
        self._schedule.start(f"export {run.title}")
        name = members[0].name if len(members) == 1 else "unet-ensemble"
        output = self._folder / run.folder / f"{name}.onnx"
        own = [self._training(replace(run, network=name)).arch for name in self._config.trained]
        data = self._data.datasets[run.kind].root
        request = ExportRequest(self._checkpoints(members), output, data=data, own=own)

        def make() -> Exported:
            return self._describe(export_checkpoints(request, on_progress=self._tell_phase))

        return self._results.result(*self._export_step(run, members), make, files=[output])

    def _tell_phase(self, progress: Progress) -> None:
        self._schedule.advance(0.0, progress.phase)

    def _checkpoints(self, members: Sequence[Trained]) -> list[Path]:
        return [self._folder / member.checkpoint for member in members]

    def _export_step(
        self, run: Run, members: Sequence[Trained]
    ) -> tuple[str, object, type[Exported]]:
        return f"export-{run.step}", [_sha256(c) for c in self._checkpoints(members)], Exported

    def evaluate(self, run: Run, file: Exported) -> Scored:
        """Score a network on the test images."""
        self._schedule.start(f"evaluate {run.title}")
        split = self._data.datasets[run.kind].split("test")

        def on_progress(progress: Progress) -> None:
            self._schedule.advance(progress.fraction)
            self._schedule.check()

        def make() -> Scored:
            predictor = self._predictor(file, concurrency_for(self._config.threads))
            evaluation = evaluate(predictor, split, on_progress=on_progress)
            named = replace(evaluation, name=run.network)
            return Scored(named, predictor.engine, predictor.choice)

        return self._results.result(*self._evaluation_step(run, file), make)

    def _evaluation_step(self, run: Run, file: Exported) -> tuple[str, object, type[Scored]]:
        provider = to_dict(self._config.provider)
        inputs = [file.digest, self._data.sha256[run.kind], VERSION, provider]
        return f"evaluate-{run.step}", inputs, Scored

    def baselines(self, kind: str, size: tuple[int, int]) -> tuple[Evaluation, ...]:
        """Score the baselines on the test images, at (height, width) `size`."""
        self._schedule.start(f"evaluate baselines, {kind}")
        dataset = self._data.datasets[kind]

        def make() -> _Baselines:
            return _Baselines(
                evaluate_baselines(
                    dataset.split("train"), dataset.split("test"), size, masks=self._masks
                )
            )

        categories = self._config.categories
        inputs = [self._data.sha256[kind], size, self._masks, categories, VERSION]
        return self._results.result(f"baselines-{kind}", inputs, _Baselines, make).baselines

    def latencies(self, files: Sequence[Exported]) -> tuple[PredictionLatency, ...]:
        """Time the networks, interleaved."""
        self._schedule.start(TIMING)
        provider = to_dict(self._config.provider)
        inputs = [[file.digest for file in files], self._config.threads, provider]

        def make() -> _Latencies:
            predictors = [self._predictor(file) for file in files]
            return _Latencies(measure_latency(predictors))

        return self._results.result("latency", inputs, _Latencies, make).networks

    def _predictor(self, file: Exported, concurrency: int = 1) -> Predictor:
        return Predictor(
            self._folder / file.path,
            threads=self._config.threads,
            concurrency=concurrency,
            provider=self._config.provider,
        )

    def _training(self, run: Run) -> TrainConfig:
        return self._config.training(run.network, str(self._data.datasets[run.kind].root), run.seed)

    def _place(self, run: Run) -> Path:
        return self._folder / run.folder / self._training(run).name

    def _describe(self, result: ExportResult) -> Exported:
        network, parity = result.metadata.network, result.metadata.parity
        assert parity is not None
        return Exported(
            path=result.file.path.relative_to(self._folder).as_posix(),
            digest=result.file.digest,
            parameters=network.parameters,
            macs=network.macs,
            file_bytes=result.file.file_bytes,
            max_difference=parity.max_probability,
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
