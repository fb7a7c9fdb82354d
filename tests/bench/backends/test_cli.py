"""`seg-bench backends` with the two backends that every installation has."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bench.backends.compare
from bench.backends.cli import backends
from bench.backends.result import BackendComparison
from bench.backends.tables import backends_rows
from runtime.core.errors import DataError
from runtime.core.schema import from_dict, to_dict
from tests.support.backend_results import backend_comparison
from tests.support.model_builder import ModelBuilder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(backends, [str(argument) for argument in arguments])


@pytest.fixture
def result() -> BackendComparison:
    return backend_comparison()


def test_the_command_measures_and_writes(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    network = build_onnx(tmp_path / "network.onnx")
    found, page = tmp_path / "backends.json", tmp_path / "backends.md"
    ran = call(
        network,
        "--size",
        32,
        "--threads",
        1,
        "--runs",
        2,
        "--backend",
        "predictor",
        "--json",
        found,
        "--markdown",
        page,
    )
    assert ran.exit_code == 0, ran.output
    result = from_dict(
        BackendComparison, json.loads(found.read_text()), where="backends.json", error=DataError
    )
    assert [backend.name for backend in result.backends] == ["onnxruntime", "predictor"]
    for backend in result.backends:
        assert backend.reason == ""
        assert backend.difference == 0.0
        assert len(backend.seconds) == 2
        assert min(backend.seconds) > 0.0
        assert "onnxruntime" in backend.versions
    assert to_dict(result)["machine"]["cores"] >= 1
    for cells in backends_rows(result):
        assert cells[0] in ran.output
        assert cells[3] in page.read_text()


@pytest.mark.usefixtures("inline_workers")
def test_variants_of_the_network_are_named_after_their_files(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    network = build_onnx(tmp_path / "network.onnx")
    fixed = build_onnx(tmp_path / "network-fixed.onnx", shape=("batch", 3, 32, 32))
    build_onnx(tmp_path / "other.onnx", activation="Softsign")
    small = build_onnx(tmp_path / "small.onnx", shape=("batch", 3, 16, 16))
    found = tmp_path / "backends.json"
    variants = [
        word for file in (fixed, tmp_path / "other.onnx", small) for word in ("--variant", file)
    ]
    ran = call(
        network,
        "--size",
        32,
        "--threads",
        1,
        "--runs",
        2,
        "--backend",
        "onnxruntime",
        *variants,
        "--json",
        found,
    )
    assert ran.exit_code == 0, ran.output
    _, same, other, unfit = json.loads(found.read_text())["backends"]
    assert (same["name"], same["reason"], same["difference"]) == ("network-fixed.onnx", "", 0.0)
    assert len(same["seconds"]) == 2
    assert (other["name"], other["reason"]) == (
        "other.onnx",
        "probabilities differ by more than 0.001",
    )
    assert unfit["name"] == "small.onnx"
    assert "INVALID_ARGUMENT" in unfit["reason"]
    replaced = call(network, "--variant", fixed, "--json", fixed)
    assert replaced.exit_code == 2
    assert "would replace the input" in replaced.output


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_measured(
    result: BackendComparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    def compare_backends(*_: object, stop: Callable[[], bool], **__: object) -> BackendComparison:
        os.kill(os.getpid(), sent)
        assert stop()
        return dataclasses.replace(result, interrupted=True)

    monkeypatch.setattr(bench.backends.compare, "compare_backends", compare_backends)
    found = tmp_path / "backends.json"
    ran = call("network.onnx", "--json", found)
    assert ran.exit_code == 128 + sent
    assert json.loads(found.read_text())["interrupted"] is True
    assert "slow" in ran.output
    assert ran.output.rstrip().endswith("stopped after round 8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "tensorflow"], "'tensorflow' is not one of 'onnxruntime', 'predictor'"),
        (["--runs", "0"], "runs: expected 1 or more, found 0"),
        (["--seconds", "0"], "seconds: expected more than 0, found 0.0"),
        ([], "none.onnx: expected an ONNX file, found no such file"),
        (["--variant", "variant.onnx"], "variant.onnx: expected an ONNX file, found no such file"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(tmp_path: Path, options: list[str], words: str) -> None:
    ran = call(tmp_path / "none.onnx", *options)
    assert ran.exit_code == 2, ran.output
    assert words in ran.output
