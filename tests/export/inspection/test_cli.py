"""The text and JSON of seg-inspect."""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from onnx import helper

from export import inspect
from export.inspection.cli import main
from export.inspection.file import Inspection
from runtime.core.schema import to_dict
from runtime.model.metadata import KEY
from runtime.model.onnx_file import read_onnx
from tests.support.onnx_graphs import conv_then, saved


def test_everything_is_shown_and_in_the_json(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = CliRunner().invoke(main, [str(model), "--json", str(report)])
    assert result.exit_code == 0, result.output
    inspection = inspect(model)
    assert isinstance(inspection, Inspection)
    assert json.loads(report.read_text()) == json.loads(json.dumps(to_dict(inspection)))
    file = read_onnx(model)
    assert (inspection.digest, inspection.metadata) == (file.digest, file.metadata)
    metadata = file.metadata
    assert metadata is not None
    assert metadata.training is not None
    assert metadata.parity is not None
    assert inspection.counts.total.macs == metadata.network.macs
    for expected in (
        file.digest,
        "opset 20",
        "IR version 10",
        "made by seg-toolkit",
        "'image' float32 [batch, 3, height, width]",
        "32x32; other sizes in multiples of 16",
        "scratch of width 4",
        metadata.training.data_name,
        "network.decoder.0.up",
        f"{inspection.counts.total.parameters:,} parameters",
        f"the trained network: {metadata.network.parameters:,}; fewer are left because batch norm",
        f"{metadata.network.macs:,} multiply-accumulates",
        "ConvTranspose",
        *(f"  {name}: " for name in to_dict(metadata.parity)),
    ):
        assert expected in result.output


def test_names_from_a_file_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    name = "\x1b[2J" + "x" * 1000
    model = conv_then(helper.make_node("Warp", ["h"], ["g"], name=name, domain="acme\n"))
    model.graph.node[0].name, model.graph.initializer[0].name = name, "kernel"
    model.graph.node[0].input[1] = "kernel"
    path = saved(model, tmp_path)
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "acme\\n:Warp" in result.output
    assert max(len(line) for line in result.output.splitlines()) < 250
    assert inspect(path).counts.layers[0].name == name


def test_metadata_from_a_file_stays_in_its_lines(model: Path, tmp_path: Path) -> None:
    changed = onnx.load(model)
    (entry,) = (entry for entry in changed.metadata_props if entry.key == KEY)
    document = json.loads(entry.value)
    text = "scans\nError: \x1b[2Jall is well\r"
    document["training"]["data_name"] = document["parity"]["images_from"] = text
    entry.value = json.dumps(document)
    result = CliRunner().invoke(main, [str(saved(changed, tmp_path))])
    assert result.exit_code == 0, result.output
    assert result.output.count("scans\\nError: \\x1b[2Jall is well\\r") == 2
    assert all(line.isprintable() for line in result.output.split("\n"))


def test_inspecting_loads_no_pytorch(model: Path) -> None:
    code = (
        "import sys\nfrom export import inspect\n"
        f"inspect({str(model)!r})\nprint('torch' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_without_onnx_the_command_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(main, [str(model)])
    assert result.exit_code == 2
    assert "onnx is not installed: run pip install '.[export]'" in result.output
