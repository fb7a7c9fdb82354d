"""Every option of `seg-predict` reaches the computation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

import runtime.model.predictor
from runtime.cli.predict import main
from runtime.core.machine import available_cores
from runtime.data.coco import Dataset
from runtime.model.predictor import Predictor


@pytest.fixture
def scan(phantom_data: Dataset) -> Path:
    return phantom_data.split("test").samples[0].path


@pytest.mark.parametrize(
    ("options", "attribute", "value"),
    [
        (("--threads", 1), "threads", 1),
        (("--threads", 3), "threads", 3),
        (("--size", 48), "size", (48, 48)),
        ((), "threads", available_cores()),
        ((), "size", (32, 32)),
    ],
)
def test_options_reach_the_predictor(
    model: Path,
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: Sequence[object],
    attribute: str,
    value: object,
) -> None:
    made: list[Predictor] = []

    class Recorded(Predictor):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr(runtime.model.predictor, "Predictor", Recorded)
    arguments = [str(a) for a in (model, scan, "--out", tmp_path / "out", *options)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert [getattr(predictor, attribute) for predictor in made] == [value]


def test_folder_and_format_are_those_asked_for(model: Path, scan: Path, tmp_path: Path) -> None:
    for map_format in ("png", "npy"):
        out = tmp_path / map_format
        arguments = [str(a) for a in (model, scan, "--out", out, "--format", map_format)]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        assert {path.name for path in out.iterdir()} == {
            f"{scan.stem}.probability.{map_format}",
            f"{scan.stem}.overlay.png",
        }
    expected = Predictor(model)(scan)
    np.testing.assert_array_equal(
        np.load(tmp_path / "npy" / f"{scan.stem}.probability.npy"), expected
    )
    share = f"{(expected >= 0.5).mean():.2%} of the pixels at 0.5 or more"
    result = CliRunner().invoke(main, [str(model), str(scan), "--out", str(tmp_path / "again")])
    assert f"highest probability {expected.max():.3f}, {share}" in result.output
    assert f"{model}: computed by cpu {onnxruntime.__version__}, float32, " in result.output
