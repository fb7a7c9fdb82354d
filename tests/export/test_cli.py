"""Each option of `export-onnx` reaches the export."""

import shutil
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

    Path("scans").mkdir()
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


def test_checkpoints_of_one_folder_are_refused_before_anything_is_written(
    run_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    result = CliRunner().invoke(main, [str(folder / "best.pt"), str(folder / "last.pt")])
    assert result.exit_code == 2
    assert "last.pt would replace the file of" in result.output
    assert list(tmp_path.iterdir()) == [folder]


def test_without_arguments_every_run_below_artifacts_is_exported(
    run_folder: Path, converted_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "best.pt").write_bytes(
            (run_folder / "best.pt").read_bytes()
        )
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0, result.output
    written = sorted(path.name for path in Path("artifacts").glob("*.onnx"))
    assert written == ["one.onnx", "two.onnx"]
    assert "probabilities differ by at most" in result.output
