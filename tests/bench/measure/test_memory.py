"""Memory by phase, against the inputs' size and GNU time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.model_builder import ModelBuilder

pytest.importorskip("onnx")

from bench.measure.memory import memory_by_phase, resident_bytes
from bench.workers.process import Worker

needs_proc = pytest.mark.skipif(resident_bytes() is None, reason="the system tells no memory")


@needs_proc
def test_memory_grows_by_phase_and_with_the_input(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "any.onnx")
    found = []
    for side in (64, 1024):
        with Worker("bench.measure.worker", threads=1, limit_s=120.0) as worker:
            request = {"path": str(path), "size": [side, side], "threads": 1, "provider": {}}
            found.append(worker.ask("memory", **request, arena=True))
    for phases in found:
        # Asking for it loads a few pages itself, and the system's count is approximate (proc(5)).
        assert phases.get("trimmed", 0) <= phases["steady"] + 2**20
        assert phases["import"] < phases["session"] <= phases["first_run"] <= phases["peak"]
        assert phases["steady"] <= phases["peak"]
    small, large = found
    # At least the input, float32 [1, 3, 1024, 1024], and the maps before and after the sigmoid.
    assert large["peak"] - small["peak"] > (3 + 2) * 4 * 1024**2 * 0.9


def test_the_peak_alone_is_read_as_a_peak(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"VmRSS": 5, "VmHWM": 7}
    monkeypatch.setattr("bench.measure.memory.resident_bytes", lambda field="VmRSS": sizes[field])
    found = memory_by_phase(str(model), (32, 32), 1, runs=1)
    assert found.pop("peak") == 7
    assert found.pop("trimmed", 5) == 5
    assert found == dict.fromkeys(("import", "session", "first_run", "steady"), 5)


@needs_proc
def test_the_peak_is_what_gnu_time_sees(model: Path, tmp_path: Path) -> None:
    time = Path("/usr/bin/time")
    if not time.is_file():
        pytest.skip("GNU time is not installed")
    log = tmp_path / "log"
    code = (
        "from bench.measure.memory import memory_by_phase\n"
        f"print(memory_by_phase({str(model)!r}, (512, 512), 1)['peak'])"
    )
    command = [str(time), "-f", "%M", "-o", str(log), sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) == pytest.approx(1024 * int(log.read_text()), rel=0.03)
