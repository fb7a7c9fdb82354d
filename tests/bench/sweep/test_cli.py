"""`seg-bench sweep` as a user meets it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.model_builder import ModelBuilder

pytest.importorskip("onnxscript")
pytest.importorskip("matplotlib")

from bench.cli import main


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sweep", *map(str, arguments)], prog_name="seg-bench")


def test_wrong_use_ends_with_one_sentence_before_anything_is_trained(
    phantom: Path, tmp_path: Path, build_onnx: ModelBuilder
) -> None:
    damaged, sizeless = tmp_path / "damaged.onnx", build_onnx(tmp_path / "any.onnx")
    damaged.write_text("not ONNX")
    (tmp_path / "folder").mkdir()
    for arguments, words in (
        (("--width", 0), "width: expected 1 or more"),
        (("--size", 40), "expected a multiple of 16"),
        (("--arch", "resnet50", "--size", 48), "expected a multiple of 32"),
        (("--arch", "vgg"), "arch vgg: unknown architecture"),
        ((damaged,), f"{damaged}: expected"),
        ((sizeless,), f"{sizeless}: the file does not state the size of its input"),
        (("--data", tmp_path / "none"), "no such folder"),
        (("--json", tmp_path / "folder"), "it is a folder or a device"),
        (
            ("--arch", "resnet34", "--encoder-weights", f"resnet34={tmp_path / 'no.pth'}"),
            "no.pth: expected encoder weights, found no file",
        ),
    ):
        found = call("--data", phantom, "--width", 2, "--out", tmp_path / "out", *arguments)
        assert found.exit_code == 2, found.output
        assert words in found.output
        assert "Traceback" not in found.output
        assert not list((tmp_path / "out").rglob("*.pt"))


def test_it_says_which_install_brings_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = call("--out", tmp_path / "out")
    assert found.exit_code == 2
    assert "torch is not installed: run pip install '.[export]'" in found.output
    assert not (tmp_path / "out").exists()
