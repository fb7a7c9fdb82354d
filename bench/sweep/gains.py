"""The gain in soft IoU and the cost in latency of each next width."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from bench.frontier.differences import iou_differences
from bench.measure.result import BenchResult, ModelResult
from bench.sweep.result import Gain, SweepNetwork, SweepResult
from runtime.scoring.intervals import Interval

_UNKNOWN = Interval(math.nan, math.nan, math.nan)


def conclude(
    networks: Sequence[SweepNetwork], measured: BenchResult, warnings: tuple[str, ...] = ()
) -> SweepResult:
    """Return the result of a sweep from a measurement of its networks, complete or not.

    Args:
        networks: trained ones by encoder, size and ascending width, then the given ones.
    """
    differences = iou_differences(measured.models)
    scored = [model for model in measured.models if model.accuracy is not None]
    largest = max(scored, key=_extent, default=None)
    to_largest = {
        model.path: _difference(differences, model.path, largest.path)
        for model in scored
        if largest is not None and model is not largest
    }
    gains = tuple(
        Gain(
            arch=arch,
            size=size,
            width=one.width or 0,
            next_width=other.width or 0,
            iou=_difference(differences, other.path, one.path),
            latency=_latency_ratio(measured, other.path, one.path),
        )
        for arch, size, line in lines(networks)
        for one, other in pairwise(line)
    )
    return SweepResult(
        networks=tuple(networks),
        largest=None if largest is None else largest.path,
        to_largest=to_largest,
        gains=gains,
        warnings=warnings,
        measured=measured,
    )


def lines(
    networks: Sequence[SweepNetwork],
) -> Iterator[tuple[str, tuple[int, ...], list[SweepNetwork]]]:
    """Yield the encoder, the size and the widths of each line of a sweep's grid."""
    trained = [network for network in networks if not network.given]
    for (arch, size), line in groupby(trained, lambda network: (network.arch, network.size)):
        assert arch is not None
        assert size is not None
        yield arch, size, list(line)


def _difference(differences: Mapping[tuple[str, str], Interval], path: str, other: str) -> Interval:
    """Return the soft IoU of `path` minus that of `other`."""
    if (path, other) in differences:
        return differences[path, other]
    return _negated(differences.get((other, path), _UNKNOWN))


def _extent(model: ModelResult) -> tuple[int, int]:
    return model.parameters or 0, model.macs or 0


def _negated(interval: Interval) -> Interval:
    return replace(interval, value=-interval.value, low=-interval.high, high=-interval.low)


def _latency_ratio(measured: BenchResult, path: str, other: str) -> Interval:
    for pair in measured.rankings:
        if (pair.first, pair.second) == (path, other):
            return Interval(pair.ratio, pair.low, pair.high)
        if (pair.first, pair.second) == (other, path):
            return Interval(1.0 / pair.ratio, 1.0 / pair.high, 1.0 / pair.low)
    return _UNKNOWN
