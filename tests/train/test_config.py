import json
from dataclasses import replace
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.schema import from_dict, to_dict
from train.config import TrainConfig, demo_config, same_run, study_config


def test_the_defaults_are_the_studys_protocol() -> None:
    for arch in ("scratch", "resnet50"):
        config = study_config("data", arch)
        assert (config.width, config.size, config.masks) == (64, 256, "boxes")
        assert (config.epochs, config.batch_size, config.learning_rate) == (25, 32, 0.001)
        assert (config.patience, config.decay) == (3, 0.1)
    assert study_config("data", "resnet50").freeze_encoder
    assert study_config("data", "resnet50").encoder_weights == "imagenet"


def test_an_encoder_without_weights_is_trained() -> None:
    assert not study_config("data", "resnet50", encoder_weights="none").freeze_encoder


def test_what_is_given_goes_before_the_demos_settings() -> None:
    assert demo_config("data", "scratch").width < 64
    assert demo_config("data", "scratch", width=20).width == 20


def test_a_config_survives_json() -> None:
    config = study_config("data", "resnet50", width=16, learning_rate=0.01)
    content = json.loads(json.dumps(to_dict(config)))
    assert from_dict(TrainConfig, content, where="config", error=ConfigError) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "vgg"}, "arch: expected one of scratch, resnet50, found 'vgg'"),
        ({"width": 0}, "width: expected 1 or more, found 0"),
        ({"epochs": -1}, "epochs: expected 1 or more"),
        ({"batch_size": 0}, "batch_size"),
        ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"decay": 1.0}, "decay"),
        ({"size": 250}, "size: expected a multiple of 16"),
        ({"size": 8192}, "size"),
        ({"arch": "resnet50", "size": 48}, "size: expected a multiple of 32"),
        ({"precision": "fp8"}, "precision"),
        ({"encoder_weights": "imagenet"}, "scratch: expected no encoder weights"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(data="data", **changes)


def test_only_more_epochs_and_moved_data_make_the_same_run() -> None:
    config = study_config("data", "scratch")
    assert same_run(config, replace(config, epochs=30, data="elsewhere")) is None
    assert same_run(config, replace(config, seed=1)) == "seed"
