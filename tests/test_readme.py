"""What the README promises."""

import re
from pathlib import Path

import pytest

from runtime.coco import Dataset
from runtime.evaluation import evaluate
from runtime.predictor import Predictor

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "artifacts").symlink_to(ROOT / "artifacts")
    (tmp_path / "tumorseg").symlink_to(phantom)
    (tmp_path / "scans").symlink_to(phantom / "test")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert {"predictor", "result"} <= names.keys()


def test_the_scores_are_those_of_the_committed_network(real_data: Dataset) -> None:
    (row,) = re.findall(r"^\| scratch \|(.*)\|$", README, re.MULTILINE)
    cells = [cell.strip() for cell in row.split("|")]
    predictor = Predictor(ROOT / "artifacts" / "unet-scratch-w16.onnx")
    result = evaluate(predictor, real_data.split("test"))
    mean = result.soft.per_image
    scores = [mean[name].mean for name in ("accuracy", "recall", "precision", "iou")]
    scores += [result.soft.pooled.iou, result.thresholded.per_image["iou"].mean]
    scores.append(result.calibration.ece)
    # Another machine's ONNX Runtime may move the last figure.
    assert [float(cell) for cell in cells[:7]] == pytest.approx(scores, abs=1.1e-3)
    assert predictor.metadata is not None
    network = predictor.metadata.network
    assert cells[7:] == [
        f"{network.parameters / 1e6:.2f} M",
        f"{network.macs / 1e9:.2f} G",
        f"{predictor.file.file_bytes / 1e6:.1f} MB",
    ]


def test_every_command_is_told_of_and_none_that_is_not_there() -> None:
    scripts = (ROOT / "pyproject.toml").read_text().split("[project.scripts]\n")[1].split("\n\n")[0]
    installed = {line.split(" = ")[0] for line in scripts.splitlines()}
    table = README.split("## Commands")[1].split("\n\n")[1]
    told = set(re.findall(r"^\| `([a-z-]+)", table, re.MULTILINE)) - {"pytest"}
    assert told == installed
