"""Each option of `export-onnx` reaches the export."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from export.cli import main
from export.request import ExportRequest
from runtime.core.errors import ConfigError


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ExportRequest]:
    """What `export_checkpoints` is asked for; it writes nothing. Two runs lie in the folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "best.pt").touch()
    asked: list[ExportRequest] = []

    def export_checkpoints(request: ExportRequest, **_: object) -> None:
        asked.append(request)
        raise ConfigError("nothing was written")

    monkeypatch.setattr("export.onnx_export.export_checkpoints", export_checkpoints)
    return asked


ONE = Path("artifacts/one/best.pt")
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "--out here.onnx": {"output": Path("here.onnx")},
    "--data scans": {"data": Path("scans")},
    "--precision fp16": {"precision": "fp16", "output": Path("artifacts/one-fp16.onnx")},
    "--precision int8": {"precision": "int8", "output": Path("artifacts/one-int8.onnx")},
    "--optimize winograd": {
        "optimization": "winograd", "output": Path("artifacts/one-winograd.onnx")
    },
    "--license CC0-1.0": {"license": "CC0-1.0"},
    "--threads 3": {"threads": 3},
    "--arch nets:one --arch nets:two": {"own": ("nets:one", "nets:two")},
}  # fmt: skip


@pytest.mark.parametrize("words", OPTIONS)
def test_an_option_changes_its_part_of_the_request_and_no_other(
    requests: list[ExportRequest], words: str
) -> None:
    plain: dict[str, Any] = {
        "checkpoints": (ONE,), "output": Path("artifacts/one.onnx"), "data": None,
        "precision": "fp32", "optimization": None, "threads": None, "license": None, "own": (),
    }  # fmt: skip
    result = CliRunner().invoke(main, ["artifacts/one", *words.split()])
    assert "nothing was written" in result.output, result.output
    assert requests == [ExportRequest(**(plain | OPTIONS[words]))]


def test_the_table_above_has_every_option(requests: list[ExportRequest]) -> None:
    known = {word for words in OPTIONS for word in words.split() if word.startswith("--")}
    named = {option for parameter in main.params for option in parameter.opts}
    assert {option for option in named if option.startswith("--")} == known | {
        "--ensemble",
        "--debug",
        "--version",
    }


def test_an_ensemble_is_one_request(requests: list[ExportRequest]) -> None:
    words = ["artifacts/one", "artifacts/two", "--ensemble", "--out", "both.onnx"]
    CliRunner().invoke(main, words)
    ((request),) = requests
    assert request.sources == (ONE, Path("artifacts/two/best.pt"))
    assert request.target == Path("both.onnx")
