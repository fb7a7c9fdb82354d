from typing import Any

import pytest

from bench.sweep.config import SweepConfig
from train.config import TrainConfig


@pytest.mark.parametrize(
    ("changes", "setting", "value"),
    [
        ({"seed": 5}, "seed", 5),
        ({"device": "cpu"}, "device", "cpu"),
        ({"threads": 3}, "threads", 3),
        ({"intensity": 4095}, "intensity", 4095),
        ({"changes": {"epochs": 2}}, "epochs", 2),
        ({"archs": ("resnet34",), "encoder_weights": {"resnet34": "w.pth"}}, "encoder_weights",
         "w.pth"),
    ],
)  # fmt: skip
def test_a_setting_reaches_every_network(changes: dict[str, Any], setting: str, value: Any) -> None:
    def networks(**given: Any) -> tuple[TrainConfig, ...]:
        return SweepConfig("scans", widths=(8, 4), sizes=(64, 96), **given).networks

    assert [getattr(each, setting) for each in networks(**changes)] == [value] * 4
    assert value not in [getattr(each, setting) for each in networks()]
