"""The steps that each network goes through: training, export, evaluation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.study.config import StudyConfig
from bench.study.kept import Kept
from bench.study.prepare import Prepared
from bench.study.result import Exported, Trained
from bench.training import EXPORT_IMAGES, epochs_done, seconds_per_image, train_as_work
from bench.work import Work
from export.onnx_export import ExportResult, export_checkpoints
from export.request import ExportRequest
from runtime.core.progress import Progress
from runtime.core.schema import to_dict
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.timing import PredictionLatency, measure_latency
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.evaluation import Evaluation, evaluate
from train.checkpoint import BEST
from train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class _Latencies:
    networks: tuple[PredictionLatency, ...]


@dataclass(frozen=True, slots=True)
class _Baselines:
    baselines: tuple[Evaluation, ...]


class Networks:
    """Carries out the steps of a study's networks, or takes what they gave before.

    Args:
        folder: the study's; a run is in KIND/NAME, its file in KIND/NAME.onnx.
        cache: where decoded data sets are kept.
    """

    def __init__(
        self,
        config: StudyConfig,
        prepared: Prepared,
        folder: Path,
        cache: Path,
        kept: Kept,
        work: Work,
    ) -> None:
        self._config = config
        self._data = prepared
        self._folder = folder
        self._cache = cache
        self._kept = kept
        self._work = work

    def plan(self) -> None:
        """Estimate the seconds of what is left to do, from a few training steps.

        A forward pass costs a third of a training step.

        Raises:
            ConfigError, CheckpointError: a network cannot be trained, which is told before hours
                are spent on another one.
        """
        for network in self._config.trained:
            each: float | None = None
            for kind, dataset in self._data.datasets.items():
                config = self._training(network, kind)
                if self._kept.has(f"train-{kind}-{network}", self._made_from(config, kind)):
                    continue
                if each is None:
                    each = seconds_per_image(config)
                images = {name: len(split.samples) for name, split in dataset.splits.items()}
                epoch = each * (images["train"] + images["valid"] / 3)
                left = config.epochs - epochs_done(self._folder / kind / config.name)
                self._work.plan(f"train {network}, {kind}", epoch * left)
                self._work.plan(f"export {network}, {kind}", each * EXPORT_IMAGES / 3)
                self._work.plan(f"evaluate {network}, {kind}", each * images["test"] / 3)

    def train(self, network: str, kind: str) -> Trained:
        """Train a network, or go on where its training was interrupted."""
        config = self._training(network, kind)
        self._work.begin(f"train {network}, {kind}")

        def make() -> Trained:
            folder = self._folder / kind / config.name
            result = train_as_work(config, folder, self._cache, self._work)
            return Trained(
                name=config.name,
                checkpoint=result.best.relative_to(self._folder).as_posix(),
                parameters=result.parameters,
                trained_parameters=result.trained_parameters,
                history=result.history,
            )

        made_from = self._made_from(config, kind)
        best = self._folder / kind / config.name / BEST
        step = f"train-{kind}-{network}"
        return self._kept.result(step, made_from, Trained, make, files=[best])

    def export(self, network: str, kind: str, trained: Trained) -> Exported:
        """Export a network."""
        self._work.begin(f"export {network}, {kind}")
        checkpoint = self._folder / trained.checkpoint
        output = self._folder / kind / f"{trained.name}.onnx"
        data = self._data.datasets[kind].root

        def make() -> Exported:
            request = ExportRequest([checkpoint], output, data=data)
            return self._describe(export_checkpoints(request))

        made_from = [_sha256(checkpoint)]
        step = f"export-{kind}-{network}"
        return self._kept.result(step, made_from, Exported, make, files=[output])

    def ensemble(self, kind: str, members: Sequence[Trained]) -> Exported:
        """Export the mean of several networks as one file."""
        self._work.begin(f"export ensemble, {kind}")
        checkpoints = [self._folder / member.checkpoint for member in members]
        output = self._folder / kind / "unet-ensemble.onnx"
        data = self._data.datasets[kind].root

        def make() -> Exported:
            request = ExportRequest(checkpoints, output, data=data)
            return self._describe(export_checkpoints(request))

        made_from = [_sha256(checkpoint) for checkpoint in checkpoints]
        step = f"export-{kind}-ensemble"
        return self._kept.result(step, made_from, Exported, make, files=[output])

    def evaluate(self, network: str, kind: str, file: Exported) -> Evaluation:
        """Score a network on the test images."""
        step = f"evaluate {network}, {kind}"
        self._work.begin(step)
        split = self._data.datasets[kind].split("test")

        def on_progress(progress: Progress) -> None:
            self._work.advance(progress.fraction)
            self._work.check(step)

        def make() -> Evaluation:
            at_once = concurrency_for(self._config.threads or None)
            found = evaluate(self._predictor(file, at_once), split, on_progress=on_progress)
            return replace(found, name=network)

        made_from = [file.digest, self._data.sha256[kind]]
        return self._kept.result(f"evaluate-{kind}-{network}", made_from, Evaluation, make)

    def baselines(self, kind: str, size: tuple[int, int]) -> tuple[Evaluation, ...]:
        """Score the baselines on the test images, at (height, width) `size`."""
        self._work.begin(f"evaluate baselines, {kind}")
        dataset = self._data.datasets[kind]

        def make() -> _Baselines:
            return _Baselines(
                evaluate_baselines(dataset.split("train"), dataset.split("test"), size)
            )

        made_from = [self._data.sha256[kind], size]
        return self._kept.result(f"baselines-{kind}", made_from, _Baselines, make).baselines

    def latencies(self, files: Sequence[Exported]) -> tuple[PredictionLatency, ...]:
        """Time the networks, in turn."""
        self._work.begin("time the networks")
        made_from = [[file.digest for file in files], self._config.threads]

        def make() -> _Latencies:
            predictors = [self._predictor(file) for file in files]
            return _Latencies(measure_latency(predictors))

        return self._kept.result("latency", made_from, _Latencies, make).networks

    def _predictor(self, file: Exported, concurrency: int = 1) -> Predictor:
        threads = self._config.threads or None
        return Predictor(self._folder / file.path, threads=threads, concurrency=concurrency)

    def _training(self, network: str, kind: str) -> TrainConfig:
        return self._config.training(network, str(self._data.datasets[kind].root))

    def _made_from(self, config: TrainConfig, kind: str) -> object:
        return [{**to_dict(config), "data": ""}, self._data.sha256[kind]]

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
