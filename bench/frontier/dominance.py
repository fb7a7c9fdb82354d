"""Pareto dominance: a file is dominated if another is nowhere worse and somewhere better.

Files are compared by soft IoU, latency, peak memory, multiply-accumulates and file size. A
difference that is not significant counts as a tie: a latency that the run does not rank, or a soft
IoU whose paired 95 % interval contains 0. A difference in soft IoU below 0.001 is a tie too. Files
that were not scored on the same images are compared by their mean soft IoU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.frontier.differences import SMALLEST_DIFFERENCE, iou_differences, iou_sign
from bench.measure.result import BenchResult, ModelResult
from bench.medians import Verdict
from runtime.scoring.intervals import Interval

Verdicts = Mapping[tuple[str, str], Verdict]
Differences = Mapping[tuple[str, str], Interval]

MEMORY_TOLERANCE = 0.05
"""Relative difference of peak memory that counts as a tie: processes vary by about that much."""


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """The figures that files are compared by: a high `iou` is better, all others should be low."""

    name: str
    iou: float
    latency_ms: float
    memory_bytes: float
    macs: float
    file_bytes: float


def find_dominators(result: BenchResult) -> dict[str, tuple[str, ...]]:
    """Return the paths of the files that dominate each file, by its path.

    A file on the frontier has none. A file that lacks a figure is not in the result.
    """
    points = [point for model in result.models if (point := pareto_point(model)) is not None]
    verdicts = {(r.first, r.second): r.verdict for r in result.rankings}
    return dominators(points, verdicts, iou_differences(result.models))


def pareto_point(model: ModelResult) -> ParetoPoint | None:
    """Return the figures of a file, or None if one is missing."""
    if model.accuracy is None or model.latency_ms is None or model.memory_bytes is None:
        return None
    if model.macs is None or model.file_bytes is None or "peak" not in model.memory_bytes:
        return None
    return ParetoPoint(
        name=model.name,
        iou=model.accuracy.iou,
        latency_ms=model.latency_ms.p50,
        memory_bytes=model.memory_bytes["peak"],
        macs=model.macs,
        file_bytes=model.file_bytes,
    )


def dominators(
    points: Sequence[ParetoPoint], verdicts: Verdicts, differences: Differences
) -> dict[str, tuple[str, ...]]:
    """Return the names of the points that dominate each point, by its name.

    Args:
        points: the points, each with a name of its own.
        verdicts: latency verdicts for pairs of names, in either order. A missing pair is a tie.
        differences: soft IoU of the first name minus that of the second, likewise. A missing pair
            is compared by the points' own values.

    Example:
        >>> small = ParetoPoint("small", 0.50, 10.0, 80e6, 1e9, 2e6)
        >>> large = ParetoPoint("large", 0.49, 40.0, 200e6, 4e9, 8e6)
        >>> dominators([small, large], {("small", "large"): "faster"}, {})
        {'small': (), 'large': ('small',)}
    """
    return {
        point.name: tuple(p.name for p in points if dominates(p, point, verdicts, differences))
        for point in points
    }


def dominates(
    first: ParetoPoint, second: ParetoPoint, verdicts: Verdicts, differences: Differences
) -> bool:
    """Return whether `first` is nowhere worse than `second`, and somewhere better.

    Args:
        first: the point that may dominate.
        second: the point that may be dominated.
        verdicts: as in `dominators`.
        differences: as in `dominators`.

    Example:
        A higher mean does not count if its difference is not significant.

        >>> a = ParetoPoint("a", 0.50, 10.0, 80e6, 1e9, 2e6)
        >>> b = ParetoPoint("b", 0.49, 10.0, 80e6, 1e9, 2e6)
        >>> dominates(a, b, {}, {})
        True
        >>> dominates(a, b, {}, {("a", "b"): Interval(0.01, -0.02, 0.04)})
        False
    """
    signs = (
        _iou_sign(first, second, differences),
        _latency_sign(first.name, second.name, verdicts),
        _sign(second.memory_bytes, first.memory_bytes, MEMORY_TOLERANCE),
        _sign(second.macs, first.macs),
        _sign(second.file_bytes, first.file_bytes),
    )
    return min(signs) >= 0 and max(signs) > 0


def _sign(first: float, second: float, tolerance: float = 0.0) -> int:
    """Return 1 if `first` is larger, -1 if it is smaller, 0 within the relative tolerance."""
    if abs(first - second) <= tolerance * max(first, second):
        return 0
    return 1 if first > second else -1


def _iou_sign(first: ParetoPoint, second: ParetoPoint, differences: Differences) -> int:
    """Return 1 if the IoU of `first` is higher, -1 if it is lower, 0 for a tie."""
    if (first.name, second.name) in differences:
        return iou_sign(differences[first.name, second.name])
    if (second.name, first.name) in differences:
        return -_iou_sign(second, first, differences)
    if abs(first.iou - second.iou) < SMALLEST_DIFFERENCE:
        return 0
    return _sign(first.iou, second.iou)


def _latency_sign(first: str, second: str, verdicts: Verdicts) -> int:
    """Return 1 if `first` is faster, -1 if it is slower, 0 if the two are not ranked."""
    signs = {"faster": 1, "slower": -1, "not ranked": 0}
    if (first, second) in verdicts:
        return signs[verdicts[first, second]]
    return -signs[verdicts.get((second, first), "not ranked")]
