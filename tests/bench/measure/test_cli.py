"""`seg-bench`: what it writes, what it recommends, and what is left of an interrupted run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runtime.cli.evaluate import main as seg_eval
from tests.support.faulty_files import install
from tests.support.self_contained import external_references, handlers

pytest.importorskip("onnx")
pytest.importorskip("matplotlib")

from bench.cli import main as seg_bench
from bench.measure.client import NetworkWorker

ROOT = Path(__file__).resolve().parents[3]
# The schema that the issue asks for; there may be more.
MODEL_KEYS = {
    "path",
    "digest",
    "parameters",
    "macs",
    "file_bytes",
    "latency_ms",
    "throughput_per_s",
    "stages_ms",
    "memory_bytes",
    "startup_s",
    "accuracy",
}
LATENCY_KEYS = {"p50", "p90", "p99", "mean", "runs"}
MEMORY_KEYS = {"import", "session", "first_run", "steady", "peak"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(seg_bench, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("inline_workers")
def test_files_are_measured_and_one_is_recommended(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    evaluation, out, result_file = (tmp_path / n for n in ("scores.json", "out", "result.json"))
    arguments = [str(model), "--data", str(phantom), "--json", str(evaluation), "--threads", "1"]
    assert CliRunner().invoke(seg_eval, arguments).exit_code == 0
    damaged = tmp_path / "damaged.onnx"
    damaged.write_text("not ONNX")
    found = run(
        model,
        damaged,
        model,
        "--evaluation",
        evaluation,
        "--max-seconds",
        0.3,
        "--threads",
        1,
        "--json",
        result_file,
        "--out",
        out,
        "--min-iou",
        0,
        "--max-memory-mb",
        4000,
    )
    assert found.exit_code == 1, found.output
    assert f"Recommended: {model}, the highest soft IoU" in found.output
    assert f"Error: {damaged}: could not be measured completely" in found.output
    content = json.loads(result_file.read_text())
    assert set(content) >= {"machine", "models", "threads"}
    good, bad = content["models"]
    assert set(good) >= MODEL_KEYS
    assert set(bad) >= MODEL_KEYS
    assert set(good["latency_ms"]) >= LATENCY_KEYS
    assert set(good["throughput_per_s"]) == {"1", "8"}
    if sys.platform == "linux":
        assert set(good["memory_bytes"]) >= MEMORY_KEYS
    scores = json.loads(evaluation.read_text())["models"][0]
    assert good["accuracy"]["iou"] == pytest.approx(
        scores["evaluation"]["soft"]["per_image"]["iou"]["mean"]
    )
    assert (bad["path"], bad["latency_ms"], bad["accuracy"]) == (str(damaged), None, None)
    assert "expected a complete ONNX file" in bad["failure"]

    page, text = (out / "bench.html").read_text(), (out / "bench.md").read_text()
    assert external_references(page) == []
    assert handlers(page) == []
    for written in (page, text):
        assert "on the frontier" in written
        assert str(damaged) in written
    assert text.count("![") == 1
    assert (out / "bench.png").is_file()
    assert not re.search(r"\n\n\n", text)


def test_wrong_use_is_reported_before_anything_is_measured(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for arguments, words in (
        ((model, "--data", tmp_path / "none"), "no such folder"),
        ((model, "--data", phantom, "--split", "tset"), "no split 'tset'"),
        ((model, "--evaluation", tmp_path / "none.json"), "no such file"),
        ((model, tmp_path / "none.onnx"), "none.onnx: no such file"),
        ((model, "--evaluation", "f", "--data", "d"), "exclude each other"),
        ((model, "--score-size", 64), "--score-size needs --data"),
        ((model, "--json", tmp_path / "folder"), "it is a folder or a device"),
        ((model, "--batch-size", 1), "not in the range"),
        ((model, "--provider", "cpu", "--provider", "nosuch"), "there is no 'nosuch'"),
        ((model, "--arithmetic", "bf16"), "cpu: it cannot be set to compute in bf16"),
        (("measure",), "Missing argument"),
    ):
        found = run(*arguments, "--out", tmp_path / "out")
        assert found.exit_code == 2, found.output
        assert words in found.output
        assert "Traceback" not in found.output


def test_the_group_lists_its_commands_and_that_one_may_be_omitted() -> None:
    for arguments in ((), ("--help",)):
        text = " ".join(run(*arguments).output.split())
        assert "`seg-bench artifacts/*.onnx` is short for `seg-bench measure" in text
    assert "--max-latency-ms" in run("measure", "--help").output


def process_is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("inline_workers")
def test_a_signal_keeps_what_was_measured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, result_file = tmp_path / "late.onnx", tmp_path / "result.json"
    shutil.copy(model, late)
    result_file.write_text("an earlier result")
    measure = NetworkWorker.memory

    def memory(self: NetworkWorker, path: Path, *size: Any, **settings: Any) -> dict[str, int]:
        if path == late:
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(self, path, *size, **settings)

    monkeypatch.setattr(NetworkWorker, "memory", memory)
    found = run(model, late, "--json", result_file, "--out", tmp_path / "out", "--threads", 1)
    assert found.exit_code == 128 + signal.SIGTERM
    assert "Error: stopped by SIGTERM" in found.output
    assert result_file.read_text() == "an earlier result"
    content = json.loads((tmp_path / "result-interrupted.json").read_text())
    assert content["complete"] is False
    assert [row["startup_s"] > 0 for row in content["models"]] == [True, True]


def test_a_stopped_run_leaves_what_was_measured_and_no_process(model: Path, tmp_path: Path) -> None:
    faults = install(tmp_path / "faults")
    late, result_file = tmp_path / "late.onnx", tmp_path / "result.json"
    shutil.copy(model, late)
    result_file.write_text("an earlier result")
    command = "from bench.cli import main; main()"
    files = [str(model), str(late), "--json", str(result_file), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": f"{faults}{os.pathsep}{ROOT}"}
    running = subprocess.Popen(
        [sys.executable, "-c", command, *files, "--threads", "1"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # The tests may run where SIGINT is ignored, as in a script's background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    while not (faults / "hanging").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 128 + signal.SIGINT, errors
    assert "Error: stopped by Ctrl-C" in errors
    assert "Traceback" not in errors
    assert result_file.read_text() == "an earlier result"
    assert not list((tmp_path / "out").iterdir())
    content = json.loads((tmp_path / "result-interrupted.json").read_text())
    assert content["complete"] is False
    assert [row["path"] for row in content["frontier"]] == [str(model), str(late)]
    first, second = content["models"]
    assert first["startup_s"] > 0
    assert first["digest"] == second["digest"]
    assert first["latency_ms"] is None
    if sys.platform == "linux":
        assert first["memory_bytes"]["peak"] > 0
    workers = [int(line) for line in (faults / "late.onnx.loads").read_text().split()]
    assert len(workers) == 5
    assert not any(process_is_alive(number) for number in workers)
