"""What the README promises."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.core.schema import to_dict
from runtime.data.coco import Dataset
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from runtime.model.verification import verify
from runtime.scoring.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 7000


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
    assert {"predictor", "report"} <= names.keys()


def test_the_tables_are_made_from_the_committed_study() -> None:
    pytest.importorskip("matplotlib")
    from bench.study.readme import readme_block, with_block
    from bench.study.result import read_study

    result = read_study(ROOT / "artifacts" / "study" / "study.json")
    assert with_block(README, readme_block(result)) == README, "make readme puts them right"


def test_the_study_says_plainly_what_it_is() -> None:
    pytest.importorskip("matplotlib")
    from bench.study.result import read_study

    result = read_study(ROOT / "artifacts" / "study" / "study.json")
    training = result.config.training("scratch", result.data_name)
    what = f"**width {training.width}, {training.size}x{training.size}**"
    assert what in README
    for split in result.splits:
        for network in split.networks:
            for history in network.histories:
                assert len(history) == training.epochs


def test_the_committed_network_is_the_study_s(real_data: Dataset) -> None:
    pytest.importorskip("matplotlib")
    from bench.study.result import read_study

    split = read_study(ROOT / "artifacts" / "study-small" / "study.json").split("original")
    assert split is not None
    (known,) = (network for network in split.networks if network.network == "scratch")
    predictor = Predictor(ROOT / "artifacts" / "unet-scratch-w16.onnx")
    assert predictor.file.digest == known.first.file.digest
    assert predictor.file.file_bytes < 8e6
    stated = known.first.evaluation
    for metric, interval in known.means.items():
        assert stated.soft.per_image[metric].mean == pytest.approx(interval.value)
    test = real_data.split("test")
    sums = {sample.file: sample for sample in stated.samples}
    assert sums.keys() == {sample.file_name for sample in test.samples}
    few = evaluate(predictor, replace(test, samples=test.samples[::16]))
    for found in few.samples:
        # Another machine's ONNX Runtime may move the last figure.
        expected = to_dict(sums[found.file].soft)
        assert to_dict(found.soft) == pytest.approx(expected, rel=1e-3, abs=0.1)


def test_the_int8_network_is_the_full_study_s() -> None:
    pytest.importorskip("matplotlib")
    from bench.study.result import read_study

    split = read_study(ROOT / "artifacts" / "study" / "study.json").split("original")
    assert split is not None
    (known,) = (network for network in split.networks if network.network == "scratch")
    path = ROOT / "artifacts" / "unet-scratch-w64-int8.onnx"
    metadata = read_onnx(path).metadata
    assert metadata is not None
    assert metadata.conversion is not None
    assert metadata.conversion.plain_digest == known.first.file.digest
    assert verify(path).passed


def test_the_table_has_every_command_and_no_other() -> None:
    scripts = (ROOT / "pyproject.toml").read_text().split("[project.scripts]\n")[1].split("\n\n")[0]
    installed = {line.split(" = ")[0] for line in scripts.splitlines()}
    table = README.split("## Commands")[1].split("\n\n")[1]
    assert set(re.findall(r"^\| `([a-z-]+)", table, re.MULTILINE)) == installed
