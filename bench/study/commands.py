"""What a study does, as the commands that do it step by step."""

from dataclasses import fields
from pathlib import Path

from bench.study.config import ENSEMBLE, StudyConfig
from train.config import TrainConfig, study_config

_OPTIONS = {
    "width": "--width",
    "size": "--size",
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "seed": "--seed",
    "encoder_weights": "--encoder-weights",
    "loss": "--loss",
    "unfreeze_epoch": "--unfreeze",
    "augment": "--augment",
    "compile": "--compile",
}


def step_by_step(config: StudyConfig, data_name: str) -> tuple[str, ...]:
    """Return the commands that give the networks and scores of the data set's own split.

    Paths are cut to their names, since a result may be published.
    """
    runs = [config.training(network, data_name) for network in config.trained]
    commands = [_train(run) for run in runs]
    folders = [f"artifacts/{run.name}" for run in runs]
    commands.append(" ".join(["export-onnx", *folders]))
    files = [f"{folder}.onnx" for folder in folders]
    if ENSEMBLE in config.networks:
        files.append("artifacts/unet-ensemble.onnx")
        commands.append(f"export-onnx --ensemble --out {files[-1]} {' '.join(folders)}")
    commands.append(f"seg-eval {' '.join(files)} --data {data_name}")
    return tuple(commands)


def _train(run: TrainConfig) -> str:
    standard = study_config(run.data, run.arch)
    parts = [f"train-unet --arch {run.arch} --data {run.data}"]
    for field in fields(run):
        value = getattr(run, field.name)
        if field.name not in _OPTIONS or value == getattr(standard, field.name):
            continue
        if field.name == "encoder_weights":
            value = Path(value).name
        parts.append(_OPTIONS[field.name] + ("" if value is True else f" {value}"))
    return " ".join(parts)
