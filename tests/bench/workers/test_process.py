"""Worker processes: the protocol, failures, and that they are paused and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bench.backends.backend import OpenRequest
from bench.workers.process import Worker
from runtime.core.errors import MeasurementError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MakeWorker = Callable[..., Worker]


def make_request(folder: Path, entry: str) -> OpenRequest:
    inputs = folder / "inputs.npy"
    np.save(inputs, np.random.default_rng(0).random((2, 3, 8, 8), np.float32))
    return OpenRequest(
        entry=f"tests.support.fake_backends:{entry}",
        model="",
        checkpoint=None,
        height=8,
        width=8,
        threads=3,
        inputs=str(inputs),
        outputs=str(folder / "outputs.npy"),
        folder=str(folder),
    )


def open_backend(worker: Worker, folder: Path, entry: str) -> None:
    worker.ask("open", **asdict(make_request(folder, entry)))


def time_run(worker: Worker) -> float:
    return float(worker.ask("time")["seconds"])


@pytest.fixture
def make_worker(tmp_path: Path) -> Iterator[MakeWorker]:
    workers = []

    def make(entry: str | None = None, limit_s: float = 120.0) -> Worker:
        worker = Worker("bench.backends.worker", threads=3, limit_s=limit_s)
        workers.append(worker)
        if entry is not None:
            open_backend(worker, tmp_path, entry)
        return worker

    yield make
    for worker in workers:
        worker.close()


def state(pid: int) -> str:
    """Return a process's state as /proc tells it: "T" for stopped, "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_every_input_is_run_and_saved_and_each_timed_run_gives_one_time(
    make_worker: MakeWorker, tmp_path: Path
) -> None:
    worker = make_worker("open_slow")
    inputs = np.load(tmp_path / "inputs.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "outputs.npy"), inputs.mean(axis=1, keepdims=True)
    )
    assert [time_run(worker) for _ in range(3)] == pytest.approx([0.020] * 3)


def test_output_of_a_library_is_not_an_answer(make_worker: MakeWorker) -> None:
    worker = make_worker("open_talkative")
    assert time_run(worker) == pytest.approx(0.010)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("open_failing", r"^unexpected RuntimeError: no \\x1b\[2J kernel for 8x8$"),
        ("open_crashing", r"^its process ended with SIGSEGV \(about to crash\)$"),
        ("open_exiting", "^its process ended with exit code 7$"),
        ("no_such_entry", "no_such_entry"),
    ],
)
def test_a_failure_has_a_reason_in_words(make_worker: MakeWorker, entry: str, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        make_worker(entry)


def test_a_dead_worker_fails_at_its_next_request(make_worker: MakeWorker) -> None:
    worker = make_worker("open_mean")
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(MeasurementError, match="SIGKILL, perhaps for lack of memory"):
        time_run(worker)


def test_an_answer_has_a_time_limit(make_worker: MakeWorker, tmp_path: Path) -> None:
    worker = make_worker(limit_s=0.5)
    with pytest.raises(MeasurementError, match=r"^gave no answer within 0\.5 s$"):
        open_backend(worker, tmp_path, "open_hanging")
    worker.close()
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_variables_that_tune_the_threads_of_one_library_are_not_passed_on(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "4000")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(MeasurementError, match=r"^unexpected RuntimeError: OMP_NUM_THREADS=3$"):
        make_worker("open_environment")


@LINUX
def test_a_paused_worker_is_stopped_until_it_is_asked(make_worker: MakeWorker) -> None:
    worker = make_worker("open_spinning")
    for _ in range(2):
        worker.pause()
        assert wait_for(lambda: state(worker.pid) == "T")
        assert time_run(worker) >= 0.0


@LINUX
def test_a_stopped_worker_does_not_outlive_its_coordinator(tmp_path: Path) -> None:
    code = """if True:
        import json, os, signal, sys
        from pathlib import Path
        from bench.workers.process import Worker
        worker = Worker("bench.backends.worker", threads=1, limit_s=120.0)
        worker.ask("open", **json.loads(sys.argv[1]))
        worker.pause()
        print(worker.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    request = json.dumps(asdict(make_request(tmp_path, "open_spinning")))
    ran = subprocess.run(
        [sys.executable, "-c", code, request],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    pid = int(ran.stdout)
    assert wait_for(lambda: state(pid) in ("", "Z"))
