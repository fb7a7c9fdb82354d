"""Backends that need nothing installed, and misbehave on purpose; a worker imports this module.

A run is written to the file that `FAKE_BACKENDS_LOG` names, its begin and its end. Time passes in a
worker only as a backend says.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np

from bench.backends.backend import Job
from bench.backends.worker import Floats, Run

FIRST_TURN = 2
"""Runs before it: one for each input."""


def _mean(image: Floats) -> Floats:
    output: Floats = image.mean(axis=1, keepdims=True)
    return output


def _note(text: str) -> None:
    path = os.environ.get("FAKE_BACKENDS_LOG")
    if path:
        with Path(path).open("a") as stream:
            stream.write(text + "\n")


def _timed(job: Job, seconds: float, compute: Callable[[Floats], Floats] = _mean) -> Run:
    now = [0.0]
    time.perf_counter = lambda: now[0]
    name = Path(job.folder).name

    def run(image: Floats) -> Floats:
        _note(f"{name} begin")
        now[0] += seconds
        output = compute(image)
        _note(f"{name} end")
        return output

    return run


def open_mean(job: Job) -> Run:
    return _timed(job, 0.010)


def open_slow(job: Job) -> Run:
    return _timed(job, 0.020)


def open_fast(job: Job) -> Run:
    return _timed(job, 0.004)


def open_uneven(job: Job) -> Run:
    """Faster and slower than the reference by turns."""
    turns = [0]
    now = [0.0]
    time.perf_counter = lambda: now[0]

    def run(image: Floats) -> Floats:
        turns[0] += 1
        now[0] += 0.009 if turns[0] // 2 % 2 else 0.011
        return _mean(image)

    return run


def open_near(job: Job) -> Run:
    return _timed(job, 0.010, lambda image: _mean(image) + np.float32(1e-4))


def open_wrong(job: Job) -> Run:
    """Right for the first input, wrong for the second."""
    count = [0]

    def compute(image: Floats) -> Floats:
        count[0] += 1
        return _mean(image) + np.float32(0.01 if count[0] == FIRST_TURN else 0.0)

    return _timed(job, 0.001, compute)


def open_nan(job: Job) -> Run:
    return _timed(job, 0.001, lambda image: _mean(image) * np.float32("nan"))


def open_other_shape(job: Job) -> Run:
    return _timed(job, 0.001, lambda image: _mean(image)[:, 0])


def open_failing(job: Job) -> Run:
    raise RuntimeError(f"no \x1b[2J kernel\nfor {job.height}x{job.width}")


def open_crashing(job: Job) -> Run:
    sys.stderr.write("about to crash\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)
    return _mean


def open_exiting(job: Job) -> Run:
    os._exit(7)


def open_crashing_later(job: Job) -> Run:
    """Takes part in the warm-up and in two rounds."""
    runs = [0]

    def compute(image: Floats) -> Floats:
        runs[0] += 1
        if runs[0] == FIRST_TURN + 2 * 3 + 1:
            os.abort()
        return _mean(image)

    return _timed(job, 0.010, compute)


def open_hanging(job: Job) -> Run:
    signal.pause()
    return _mean


def open_talkative(job: Job) -> Run:
    """Writes to standard output as libraries do, from Python and from C."""
    sys.stdout.write("{}\n")
    os.write(1, b"no JSON\n")
    return _timed(job, 0.010)


def open_environment(job: Job) -> Run:
    raise RuntimeError(" ".join(sorted(f"{k}={v}" for k, v in os.environ.items() if "OMP_" in k)))


def open_spinning(job: Job) -> Run:
    """A thread that never sleeps, as those of a worker pool between two runs."""

    def spin() -> None:
        while True:
            pass

    Thread(target=spin, daemon=True).start()
    return _mean
