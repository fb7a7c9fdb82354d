"""The commands that carry out a study step by step, for its record."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.study.config import ENSEMBLE, StudyConfig
from runtime.core.settings import config_fields
from runtime.model.providers import ProviderRequest
from train.config import TrainConfig, study_config

_NOT_RECORDED = ("arch", "freeze_encoder", "unfreeze_learning_rate", "device", "threads")
"""Settings that the command names anyway, that follow from others, or that are the machine's."""


def step_by_step(config: StudyConfig, data_name: str) -> tuple[str, ...]:
    """Return the commands that give the networks and scores of the original split.

    Paths are shortened to names, because a result may be published.

    Example:
        >>> for command in step_by_step(StudyConfig("scans", networks=("scratch",)), "scans"):
        ...     print(command)
        train-unet --arch scratch --data scans --out artifacts/unet-scratch-w64
        export-onnx artifacts/unet-scratch-w64
        seg-eval artifacts/unet-scratch-w64.onnx --data scans
    """
    commands: list[str] = []
    exports: list[str] = []
    files: list[str] = []
    for seed in config.training_seeds:
        place = "artifacts" if config.seeds == 1 else f"artifacts/seed-{seed}"
        runs = [config.training(network, data_name, seed) for network in config.trained]
        folders = [f"{place}/{run.name}" for run in runs]
        for run, folder in zip(runs, folders, strict=True):
            commands.append(f"{_train(run)} --out {folder}")
        own = [f"--arch {run.arch}" for run in runs if run.architecture.own]
        exports.append(" ".join(["export-onnx", *folders, *own]))
        files += [f"{folder}.onnx" for folder in folders]
        if ENSEMBLE in config.networks:
            files.append(f"{place}/unet-ensemble.onnx")
            exports.append(" ".join(["export-onnx --ensemble --out", files[-1], *folders, *own]))
    evaluation = [
        f"seg-eval {' '.join(files)} --data {data_name}",
        *_changed(config.provider, ProviderRequest()),
    ]
    return (*commands, *exports, " ".join(evaluation))


def _train(run: TrainConfig) -> str:
    """Return the command of a training run, with the settings that depart from the protocol."""
    recorded = replace(run, encoder_weights=Path(run.encoder_weights).name)
    changed = _changed(recorded, study_config(run.data, run.arch))
    return " ".join([f"train-unet --arch {run.arch} --data {run.data}", *changed])


def _changed(settings: object, defaults: object) -> Iterator[str]:
    """Yield the options, with their values, of the settings that are not the defaults."""
    for field in config_fields(type(settings)):
        value = getattr(settings, field.name)
        if field.name in _NOT_RECORDED or value == getattr(defaults, field.name):
            continue
        for each in value if field.repeated else (value,):
            yield field.option + ("" if each is True else f" {each}")
