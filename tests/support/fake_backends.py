"""Backends that need nothing installed and misbehave on purpose; workers import this module.

The start and the end of each run are logged in the file that `FAKE_BACKENDS_LOG` names. Backends
control the clock of their process.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np

from bench.backends.backend import OpenRequest
from bench.backends.worker import Floats, Inference

INPUT_RUNS = 2
"""Runs before the first round: one for each input."""
_NOW = [0.0]


def _control_clock() -> None:
    time.perf_counter = lambda: _NOW[0]


def _mean(image: Floats) -> Floats:
    output: Floats = image.mean(axis=1, keepdims=True)
    return output


def _note(text: str) -> None:
    path = os.environ.get("FAKE_BACKENDS_LOG")
    if path:
        with Path(path).open("a") as stream:
            stream.write(text + "\n")


def _timed(
    request: OpenRequest, seconds: float, compute: Callable[[Floats], Floats] = _mean
) -> Inference:
    _control_clock()
    name = Path(request.folder).name

    def run(image: Floats) -> Floats:
        _note(f"{name} begin")
        _NOW[0] += seconds
        output = compute(image)
        _note(f"{name} end")
        return output

    return run


def open_mean(request: OpenRequest) -> Inference:
    return _timed(request, 0.010)


def open_slow(request: OpenRequest) -> Inference:
    return _timed(request, 0.020)


def open_fast(request: OpenRequest) -> Inference:
    return _timed(request, 0.004)


def open_uneven(request: OpenRequest) -> Inference:
    """Alternately faster and slower than the reference."""
    runs = [0]
    _control_clock()

    def run(image: Floats) -> Floats:
        runs[0] += 1
        _NOW[0] += 0.009 if runs[0] // 2 % 2 else 0.011
        return _mean(image)

    return run


def open_near(request: OpenRequest) -> Inference:
    return _timed(request, 0.010, lambda image: _mean(image) + np.float32(1e-4))


def open_wrong(request: OpenRequest) -> Inference:
    """Return a correct output for the first input and a wrong one for the second."""
    count = [0]

    def compute(image: Floats) -> Floats:
        count[0] += 1
        return _mean(image) + np.float32(0.01 if count[0] == INPUT_RUNS else 0.0)

    return _timed(request, 0.001, compute)


def open_nan(request: OpenRequest) -> Inference:
    return _timed(request, 0.001, lambda image: _mean(image) * np.float32("nan"))


def open_other_shape(request: OpenRequest) -> Inference:
    return _timed(request, 0.001, lambda image: _mean(image)[:, 0])


def open_failing(request: OpenRequest) -> Inference:
    raise RuntimeError(f"no \x1b[2J kernel\nfor {request.height}x{request.width}")


def open_crashing(request: OpenRequest) -> Inference:
    sys.stderr.write("about to crash\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)
    return _mean


def open_exiting(request: OpenRequest) -> Inference:
    os._exit(7)


def open_crashing_later(request: OpenRequest) -> Inference:
    """Crash after the warm-up and two rounds."""
    runs = [0]

    def compute(image: Floats) -> Floats:
        runs[0] += 1
        if runs[0] == INPUT_RUNS + 2 * 3 + 1:
            os.abort()
        return _mean(image)

    return _timed(request, 0.010, compute)


def open_hanging(request: OpenRequest) -> Inference:
    signal.pause()
    return _mean


def open_talkative(request: OpenRequest) -> Inference:
    """Write to standard output as libraries do, from Python and from C."""
    sys.stdout.write("{}\n")
    os.write(1, b"no JSON\n")
    return _timed(request, 0.010)


def open_environment(request: OpenRequest) -> Inference:
    raise RuntimeError(" ".join(sorted(f"{k}={v}" for k, v in os.environ.items() if "OMP_" in k)))


def open_spinning(request: OpenRequest) -> Inference:
    """Start a thread that never sleeps, like those of a thread pool between two runs."""

    def spin() -> None:
        while True:
            pass

    Thread(target=spin, daemon=True).start()
    return _mean
