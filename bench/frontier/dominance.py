"""Which files are dominated: another is as good in everything, and better in something.

Looked at are soft IoU, latency, peak memory, multiply-accumulates and the file's size (Pareto's
order). What a measurement cannot tell apart counts as equal: a latency that it does not rank, and a
soft IoU where the 95 % interval of the paired difference holds 0. Where two files were not scored
on the same images, their soft IoU is compared as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.frontier.differences import iou_differences
from bench.measure.result import BenchResult, ModelResult
from bench.medians import Verdict
from runtime.scoring.comparison import Interval

Verdicts = Mapping[tuple[str, str], Verdict]
Differences = Mapping[tuple[str, str], Interval]

MEMORY_TOLERANCE = 0.05
"""Share by which two peaks may differ from one process to the next of the same network."""


@dataclass(frozen=True, slots=True)
class Point:
    """What two files are compared by: `iou` is to be high, all others low."""

    name: str
    iou: float
    latency_ms: float
    memory_bytes: float
    macs: float
    file_bytes: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a file stands among the others of a run.

    Attributes:
        dominated_by: the names of the files that dominate it; empty on the frontier.
    """

    name: str
    dominated_by: tuple[str, ...]


def find_standings(result: BenchResult) -> dict[str, Standing]:
    """Return the standing of each file that has every figure, by its path."""
    points = [point for model in result.models if (point := as_point(model)) is not None]
    verdicts = {(r.one, r.other): r.verdict for r in result.rankings}
    differences = iou_differences(result.models)
    return {standing.name: standing for standing in stand(points, verdicts, differences)}


def as_point(model: ModelResult) -> Point | None:
    """Return a file's figures; None where one is missing."""
    if model.accuracy is None or model.latency_ms is None or model.memory_bytes is None:
        return None
    if model.macs is None or model.file_bytes is None or "peak" not in model.memory_bytes:
        return None
    return Point(
        name=model.path,
        iou=model.accuracy.iou,
        latency_ms=model.latency_ms.p50,
        memory_bytes=model.memory_bytes["peak"],
        macs=model.macs,
        file_bytes=model.file_bytes,
    )


def stand(
    points: Sequence[Point], verdicts: Verdicts, differences: Differences
) -> tuple[Standing, ...]:
    """Return the standing of each point.

    Args:
        verdicts: of pairs of names in either order; a pair that is not there cannot be ranked.
        differences: of soft IoU, likewise, the first name's minus the second's; the points' own
            values decide about a pair that is not there.
    """
    return tuple(
        Standing(
            point.name,
            tuple(p.name for p in points if dominates(p, point, verdicts, differences)),
        )
        for point in points
    )


def dominates(one: Point, other: Point, verdicts: Verdicts, differences: Differences) -> bool:
    """Tell whether `one` is nowhere worse than `other`, and somewhere better."""
    signs = (
        _iou_sign(one, other, differences),
        _latency_sign(one.name, other.name, verdicts),
        _sign(other.memory_bytes, one.memory_bytes, MEMORY_TOLERANCE),
        _sign(other.macs, one.macs),
        _sign(other.file_bytes, one.file_bytes),
    )
    return min(signs) >= 0 and max(signs) > 0


def _sign(one: float, other: float, tolerance: float = 0.0) -> int:
    """Return 1 where `one` is larger, -1 where it is smaller, 0 within the tolerance."""
    if abs(one - other) <= tolerance * max(one, other):
        return 0
    return 1 if one > other else -1


def _iou_sign(one: Point, other: Point, differences: Differences) -> int:
    """Return 1 where the IoU of `one` is higher, -1 where it is lower, 0 where nobody can tell."""
    if (one.name, other.name) in differences:
        found = differences[one.name, other.name]
        return int(found.low > 0.0) - int(found.high < 0.0)
    if (other.name, one.name) in differences:
        return -_iou_sign(other, one, differences)
    return _sign(one.iou, other.iou)


def _latency_sign(one: str, other: str, verdicts: Verdicts) -> int:
    signs = {"faster": 1, "slower": -1, "not ranked": 0}
    if (one, other) in verdicts:
        return signs[verdicts[one, other]]
    return -signs[verdicts.get((other, one), "not ranked")]
