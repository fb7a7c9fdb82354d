"""The process of one backend: `python -m bench.backends.worker`, driven by `Candidate`.

It opens the network once, runs it on every input, and saves the outputs. Each timed run follows an
untimed one, which refills the caches that another backend has emptied. Inputs and outputs are numpy
arrays for every backend, so the time includes their conversion.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.backend import OpenRequest
from bench.workers.service import Answer, Service
from runtime.core.errors import ConfigError
from runtime.core.schema import from_dict
from runtime.model.timing import timed

Floats = NDArray[np.float32]
Inference = Callable[[Floats], Floats]


def main() -> None:
    """Answer requests until standard input ends."""
    backend = _OpenBackend()
    Service().run({"open": backend.open, "time": backend.time})


class _OpenBackend:
    _infer: Inference
    _image: Floats

    def open(self, **request: Any) -> Answer:
        chosen = from_dict(OpenRequest, request, where="request", error=ConfigError)
        module, _, function = chosen.entry.partition(":")
        self._infer = getattr(import_module(module), function)(chosen)
        inputs = np.load(chosen.inputs)
        np.save(chosen.outputs, np.concatenate([self._infer(image[None]) for image in inputs]))
        self._image = inputs[:1]
        return {}

    def time(self) -> Answer:
        return {"seconds": timed(partial(self._infer, self._image), untimed=1)()}


if __name__ == "__main__":
    main()
