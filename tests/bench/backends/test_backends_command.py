"""`seg-bench backends` as a user meets it, with the two backends that every installation has."""

import dataclasses
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import bench.backends.measure
from bench.backends.backend import BACKENDS
from bench.backends.cli import backends
from bench.backends.result import BackendResult, BackendsResult
from bench.backends.tables import HEADER, backends_markdown, backends_rows
from runtime.core.errors import DataError
from runtime.core.machine import Machine
from runtime.core.schema import from_dict, to_dict
from runtime.report.cells import DASH
from runtime.scoring.bootstrap import Interval
from tests.support.model_builder import ModelBuilder

NAN = math.nan
NOTHING = Interval(NAN, NAN, NAN)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(backends, [str(argument) for argument in arguments])


def row(name: str, **values: Any) -> BackendResult:
    settings: dict[str, Any] = {
        "name": name,
        "digest": "ab" * 32,
        "versions": {name: "1.2"},
        "reason": "",
        "difference": 2.5e-6,
        "seconds": (0.002, 0.004),
        "latency_ms": Interval(3.0, 2.0, 4.0),
        "ratio": Interval(1.5, 1.25, 1.75),
        "verdict": "slower",
    }
    return BackendResult(**{**settings, **values})


@pytest.fixture
def result() -> BackendsResult:
    machine = Machine("Linux", "Processor", ("avx2",), 2, 1 << 30, {"python": "3.11.7"})
    reference = row("onnxruntime", difference=0.0, ratio=Interval(1.0, 1.0, 1.0))
    absent = {"seconds": (), "latency_ms": NOTHING, "ratio": NOTHING, "verdict": "not ranked"}
    return BackendsResult(
        path="folder/network.onnx",
        digest="ab" * 32,
        height=32,
        width=48,
        threads=2,
        tolerance=1e-3,
        rounds=8,
        interrupted=False,
        machine=machine,
        backends=(
            row("wrong", reason="other numbers: 0.001 allowed", difference=0.2, **absent),
            row("slow", digest="cd" * 32),
            dataclasses.replace(reference, verdict="reference"),
            row("short", ratio=Interval(0.9, NAN, NAN), verdict="not ranked"),
            row("none", reason="no|pipe", versions={}, difference=NAN, **absent),
        ),
    )


def test_rows_are_in_the_order_of_their_times_and_those_with_a_reason_last(
    result: BackendsResult,
) -> None:
    rows = backends_rows(result)
    assert rows == [
        ["short", "1.2", "2.5e-06", "3.0 [2.0, 4.0]", "0.900", "not ranked"],
        ["onnxruntime", "1.2", "0", "3.0 [2.0, 4.0]", "1", "reference"],
        ["slow", "1.2", "2.5e-06", "3.0 [2.0, 4.0]", "1.500 [1.250, 1.750]", "slower"],
        ["wrong", "1.2", "2.0e-01", DASH, DASH, "other numbers: 0.001 allowed"],
        ["none", DASH, DASH, DASH, DASH, "no|pipe"],
    ]
    assert all(len(cells) == len(HEADER) for cells in rows)


def test_the_page_says_what_its_figures_depend_on(result: BackendsResult) -> None:
    page = backends_markdown(result)
    assert page.startswith("# network.onnx in several runtimes\n")
    assert "no\\|pipe" in page
    assert "Batch 1, 32x48, threads: 2, rounds: 8. Processor, 2 cores" in page
    assert f"SHA-256 of the file: `{'ab' * 32}`.\n\nSHA-256 of slow: `{'cd' * 32}`.\n" in page
    stopped = dataclasses.replace(result, interrupted=True)
    assert "rounds: 8, then stopped." in backends_markdown(stopped)


def test_the_command_measures_and_writes(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    network = build_onnx(tmp_path / "network.onnx")
    found, page = tmp_path / "backends.json", tmp_path / "backends.md"
    ran = call(
        network, "--size", 32, "--threads", 1, "--runs", 2, "--backend", "predictor",
        "--json", found, "--markdown", page,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    result = from_dict(
        BackendsResult, json.loads(found.read_text()), where="backends.json", error=DataError
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


def test_other_forms_of_the_network_take_part_by_their_files_names(
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
        network, "--size", 32, "--threads", 1, "--runs", 2, "--backend", "onnxruntime", *variants,
        "--json", found,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    _, same, other, unfit = json.loads(found.read_text())["backends"]
    assert (same["name"], same["reason"], same["difference"]) == ("network-fixed.onnx", "", 0.0)
    assert len(same["seconds"]) == 2
    assert (other["name"], other["reason"]) == ("other.onnx", "other numbers: 0.001 allowed")
    assert unfit["name"] == "small.onnx"
    assert "INVALID_ARGUMENT" in unfit["reason"]
    replaced = call(network, "--variant", fixed, "--json", fixed)
    assert replaced.exit_code == 2
    assert "expected another file than the input" in replaced.output


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_measured(
    result: BackendsResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    def compare_backends(*_: object, stop: Callable[[], bool], **__: object) -> BackendsResult:
        os.kill(os.getpid(), sent)
        assert stop()
        return dataclasses.replace(result, interrupted=True)

    monkeypatch.setattr(bench.backends.measure, "compare_backends", compare_backends)
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
        (["--runs", "0"], "--runs"),
        (["--seconds", "0"], "--seconds"),
        ([], "none.onnx: expected an ONNX file, found no such file"),
        (["--variant", "variant.onnx"], "variant.onnx: expected an ONNX file, found no such file"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(tmp_path: Path, options: list[str], words: str) -> None:
    ran = call(tmp_path / "none.onnx", *options)
    assert ran.exit_code == 2, ran.output
    assert words in ran.output


def test_every_backend_has_a_name_of_its_own_and_a_module_that_can_be_imported() -> None:
    assert len({backend.name for backend in BACKENDS}) == len(BACKENDS)
    for backend in BACKENDS:
        module, _, function = backend.entry.partition(":")
        home = __import__(module, fromlist=[function])
        assert getattr(home, function).__doc__
