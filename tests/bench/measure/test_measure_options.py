"""Each option of `seg-bench measure` reaches the measurement."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("onnx")
pytest.importorskip("matplotlib")

from bench.measure.accuracy import Accuracy
from bench.measure.cli import measure
from bench.measure.settings import MeasurementSettings, Scoring
from runtime.core.errors import ConfigError
from runtime.model.stopping_rule import StoppingRule

Asked = list[tuple[tuple[Path, ...], MeasurementSettings]]
KNOWN = {
    "digest": Accuracy("d", "test", "boxes", (8, 8), 1, 1, 0.9, 0.5, 0.5, 0.4, 0.3, 0.5, 0.4, 0.4)
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """What a measurement is asked for; it measures nothing."""
    calls: Asked = []

    def measurement(files: tuple[Path, ...], settings: MeasurementSettings, _: object) -> None:
        calls.append((files, settings))
        raise ConfigError("nothing was measured")

    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.onnx", "evaluation.json"):
        (tmp_path / name).touch()
    monkeypatch.setattr("bench.measure.run.Measurement", measurement)
    monkeypatch.setattr("bench.measure.accuracy.read_accuracy", lambda _: KNOWN)
    monkeypatch.setattr("runtime.core.machine.available_cores", lambda: 7)
    return calls


PLAIN = MeasurementSettings(threads=7, rule=StoppingRule(max_seconds=30.0))
DATA = "--data {phantom}"
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "--threads 3": {"threads": 3},
    "--size 48": {"size": (48, 48)},
    "--batch-size 3 --batch-size 5 --batch-size 3": {"batch_sizes": (3, 5)},
    "--max-seconds 4": {"rule": StoppingRule(max_seconds=4.0)},
    "--timeout 9": {"limit_s": 9.0},
    "--intensity 4095": {"intensity": 4095},
    "--no-verify": {"verify": False},
    "--evaluation evaluation.json": {"known": KNOWN},
    DATA: {"scoring": Scoring("{phantom}")},
    f"{DATA} --split valid": {"scoring": Scoring("{phantom}", split="valid")},
    f"{DATA} --masks segmentation": {"scoring": Scoring("{phantom}", masks="segmentation")},
    f"{DATA} --score-size 96": {"scoring": Scoring("{phantom}", size=(96, 96))},
}


@pytest.mark.parametrize("words", OPTIONS)
def test_an_option_changes_its_setting_and_no_other(
    asked: Asked, phantom: Path, words: str
) -> None:
    expected = OPTIONS[words]
    if "scoring" in expected:
        expected = {"scoring": replace(expected["scoring"], data=str(phantom))}
    arguments = words.format(phantom=phantom).split()
    result = CliRunner().invoke(measure, ["a.onnx", "b.onnx", "a.onnx", *arguments])
    assert "nothing was measured" in result.output, result.output
    ((files, settings),) = asked
    assert files == (Path("a.onnx"), Path("b.onnx"))
    assert settings == replace(PLAIN, **expected)
