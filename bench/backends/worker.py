"""A backend's process: `python -m bench.backends.worker`, which `bench.backends.measure` asks.

The network is opened once, run on every input, and what it gives is kept as a file. Then come
rounds: one run that is not timed, to fill the caches that another backend has emptied, and one that
is. Input and output of a run are numpy arrays for every backend; converting them is timed too.
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.backend import Job
from bench.workers.service import Answer, Service
from runtime.core.errors import ConfigError
from runtime.core.schema import from_dict

Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]


def main() -> None:
    """Answer requests until standard input ends."""
    backend = _Backend()
    Service().run({"open": backend.open, "turn": backend.turn})


class _Backend:
    _run: Run
    _image: Floats

    def open(self, **job: Any) -> Answer:
        chosen = from_dict(Job, job, where="job", error=ConfigError)
        module, _, function = chosen.entry.partition(":")
        self._run = getattr(import_module(module), function)(chosen)
        inputs = np.load(chosen.inputs)
        np.save(chosen.outputs, np.concatenate([self._run(image[None]) for image in inputs]))
        self._image = inputs[:1]
        return {}

    def turn(self) -> Answer:
        self._run(self._image)
        start = time.perf_counter()
        self._run(self._image)
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    main()
