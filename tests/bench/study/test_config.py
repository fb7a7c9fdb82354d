"""Each setting of a study, and each part of a network's name, reaches the training."""

from typing import Any

import pytest

from bench.study.config import StudyConfig


@pytest.mark.parametrize(
    ("changes", "setting", "value"),
    [
        ({"seed": 5}, "seed", 5),
        ({"device": "cpu"}, "device", "cpu"),
        ({"threads": 3}, "threads", 3),
        ({"intensity": 4095}, "intensity", 4095),
        ({"precision": "bf16"}, "precision", "bf16"),
        ({"compile": True}, "compile", True),
        ({"preset": "small"}, "width", 16),
        ({"changes": {"epochs": 7}}, "epochs", 7),
        ({"encoder_weights": {"resnet50": "w.pth"}}, "encoder_weights", "w.pth"),
    ],
)
def test_a_setting_reaches_the_training(changes: dict[str, Any], setting: str, value: Any) -> None:
    plain = StudyConfig("scans").training("resnet50", "split")
    training = StudyConfig("scans", **changes).training("resnet50", "split")
    assert getattr(training, setting) == value != getattr(plain, setting)
    assert (training.data, training.arch) == ("split", "resnet50")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet34-augment", {"augment": True}),
        ("swin-unfreeze5", {"unfreeze_epoch": 5}),
        ("scratch-bce-dice", {"loss": "bce+dice"}),
        ("resnet50-augment-unfreeze12-dice",
         {"augment": True, "unfreeze_epoch": 12, "loss": "dice"}),
    ],
)  # fmt: skip
def test_a_part_of_a_name_is_a_setting(name: str, settings: dict[str, Any]) -> None:
    training = StudyConfig("scans").training(name, "scans")
    assert {key: getattr(training, key) for key in settings} == settings
    assert training.arch == name.split("-")[0]


@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("timm:resnet10t-dice", "timm:resnet10t"),
        ("smp:FPN:timm-regnetx_002-dice", "smp:FPN:timm-regnetx_002"),
        ("nets:tiny-dice", "nets:tiny"),
    ],
)
def test_a_network_of_others_is_named_with_its_settings(name: str, arch: str) -> None:
    training = StudyConfig("scans", networks=(name,)).training(name, "scans")
    assert (training.arch, training.loss) == (arch, "dice")


@pytest.mark.parametrize("name", ["resnet50", "timm:resnet10t", "unetr"])
def test_the_demo_downloads_no_weights(name: str) -> None:
    demo = StudyConfig("scans", preset="demo", networks=(name,))
    assert demo.training(name, "scans").encoder_weights == "none"
    small = StudyConfig("scans", preset="small", networks=(name,))
    assert small.training(name, "scans").encoder_weights == "imagenet"
