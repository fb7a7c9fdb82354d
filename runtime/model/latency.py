"""How long a prediction takes: networks timed in turn, so that a slow minute slows them all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.model.predictor import Predictor

WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of single runs at batch 1, in milliseconds; nothing is left out as an outlier.

    Attributes:
        runs: that were timed.
        threads: of ONNX Runtime.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    runs: int
    threads: int


def measure_latency(predictors: Sequence[Predictor], *, runs: int = 30) -> tuple[Latency, ...]:
    """Time each network's run on a prepared input, one after the other, `runs` times over.

    Before each comes a run that is not timed: the threads of the network before it spin for a
    while, and the caches are full of its weights. Decoding, resizing and what follows the network
    are not in it.
    """
    rng = np.random.default_rng(0)
    inputs = [rng.random((1, 3, *p.size), np.float32) for p in predictors]
    seconds: NDArray[np.float64] = np.empty((len(predictors), runs))
    for turn in range(-WARM_UP, runs):
        for index, (predictor, image) in enumerate(zip(predictors, inputs, strict=True)):
            predictor.run(image)
            start = time.perf_counter()
            predictor.run(image)
            elapsed = time.perf_counter() - start
            if turn >= 0:
                seconds[index, turn] = elapsed
    return tuple(
        _summary(row, predictor.threads) for row, predictor in zip(seconds, predictors, strict=True)
    )


def _summary(seconds: NDArray[np.float64], threads: int) -> Latency:
    p50, p90, p99 = (float(q) for q in np.quantile(seconds * 1e3, (0.5, 0.9, 0.99)))
    return Latency(p50, p90, p99, float(seconds.mean() * 1e3), seconds.size, threads)
