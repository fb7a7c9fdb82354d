from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("matplotlib")
from typing import Any

import pytest

from bench.sweep.config import SweepConfig, name_of
from runtime.core.errors import ConfigError
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


def test_widths_ascend_and_sizes_are_named(phantom: Path) -> None:
    config = SweepConfig(
        str(phantom), ("scratch", "resnet50"), (16, 4), (128, 64), {"resnet50": "none"}, demo=True
    )
    names = [name_of(network) for network in config.networks]
    grid = [(w, s) for s in (64, 128) for w in (4, 16)]
    assert names == [f"unet-{a}-w{w}-s{s}" for a in ("scratch", "resnet50") for w, s in grid]
    assert config.scored_at == (128, 128)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": ()}, "widths: give one or more"),
        ({"sizes": (32, 32)}, "sizes: give each once"),
        ({"widths": (0,)}, "width: expected 1 or more, found 0"),
        ({"sizes": (64, 40)}, "multiple of 16"),
        ({"archs": ("scratch", "vgg")}, "arch vgg: unknown architecture"),
        ({"encoder_weights": {"vgg": "none"}}, "found 'vgg'"),
        ({"changes": {"epochs": 0}}, "epochs: expected 1 or more"),
    ],
)
def test_a_grid_that_is_not_possible_is_refused(changes: dict[str, object], words: str) -> None:
    good = SweepConfig("data", ("scratch",), (4,), (32,))
    with pytest.raises(ConfigError, match=words):
        replace(good, **changes)  # type: ignore[arg-type]
