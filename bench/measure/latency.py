"""Summaries of latency samples: percentiles, the interval of the median, and paired ratios.

No sample is removed as an outlier.
"""

from dataclasses import dataclass

import numpy as np

from bench.medians import RANKING_LEVEL, Verdict, median, verdict_of
from runtime.model.stopping_rule import Doubles


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of single runs, in milliseconds.

    Attributes:
        p50, p90, p99: percentiles.
        mean: arithmetic mean.
        runs: number of runs.
        low, high: ends of the median's 95 % interval; NaN with fewer than 6 runs.
    """

    p50: float
    p90: float
    p99: float
    mean: float
    runs: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LatencyRatio:
    """The latency of one file relative to another one's in the same rounds.

    Attributes:
        first: path of the file whose latency is divided.
        second: path of the file whose latency it is divided by.
        ratio: median of the ratio over rounds.
        low, high: ends of its 99 % interval; NaN with fewer than 8 rounds.
        rounds: number of rounds that both files ran in.
        verdict: whether `first` is faster or slower; "not ranked" if the interval contains 1.
    """

    first: str
    second: str
    ratio: float
    low: float
    high: float
    rounds: int
    verdict: Verdict


def summarize(seconds: Doubles) -> Latency:
    """Return percentiles, mean and the median's interval.

    Args:
        seconds: at least one sample, float64 [N].

    Example:
        >>> latency = summarize(np.array([0.010, 0.011, 0.012, 0.013, 0.014, 0.050]))
        >>> latency.p50, latency.low, latency.high, latency.runs
        (12.5, 10.0, 50.0, 6)
    """
    milliseconds = seconds * 1e3
    p90, p99 = (float(q) for q in np.quantile(milliseconds, (0.9, 0.99)))
    p50 = median(milliseconds)
    mean = float(milliseconds.mean())
    return Latency(p50.value, p90, p99, mean, len(seconds), p50.low, p50.high)


def compare_latency(
    first: str, second: str, first_seconds: Doubles, second_seconds: Doubles
) -> LatencyRatio:
    """Return the latency ratio of two files that were timed interleaved.

    A slow minute of the machine slows both files, so their ratio in one round stays the same. Only
    rounds in which both files ran are compared.

    Args:
        first: path of the first file.
        second: path of the second file.
        first_seconds: samples of the first file, float64 [N], one for each round.
        second_seconds: samples of the second file, float64 [M], from the same first round.

    Example:
        >>> noise = np.linspace(1.0, 1.5, 10)
        >>> ratio = compare_latency("a.onnx", "b.onnx", 0.010 * noise, 0.020 * noise)
        >>> ratio.ratio, ratio.rounds, ratio.verdict
        (0.5, 10, 'faster')
    """
    rounds = min(len(first_seconds), len(second_seconds))
    ratio = median(first_seconds[:rounds] / second_seconds[:rounds], RANKING_LEVEL)
    return LatencyRatio(
        first, second, ratio.value, ratio.low, ratio.high, rounds, verdict_of(ratio)
    )
