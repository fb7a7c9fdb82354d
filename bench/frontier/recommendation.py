"""The file that is recommended for a budget."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.frontier.budget import Budget
from bench.frontier.differences import SMALLEST_DIFFERENCE, iou_differences, iou_sign
from bench.frontier.dominance import find_dominators
from bench.measure.result import BenchResult, ModelResult


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The file that is recommended for a budget.

    Attributes:
        path: the file, or None if no file is within the budget.
        reason: why, without a period at the end.
    """

    path: str | None
    reason: str


def recommend(result: BenchResult, budget: Budget) -> Recommendation:
    """Return the most accurate file within the budget, or a faster one that is as good.

    A file is as good if its soft IoU does not differ significantly from the highest, by the paired
    bootstrap (`iou_differences`), by less than 0.001, or if too few images are behind the
    difference; one that another of them dominates is not recommended. Two cases differ: if only an
    IoU is asked for, the fastest file that reaches it is recommended. If no accuracy is known, it
    is the fastest within the budget. Where the accuracy of some files only is known, none is
    recommended as long as one of the others could be the right one.

    Example:
        >>> from runtime.core.machine import Machine
        >>> from bench.measure.latency import Latency
        >>> from runtime.model.stopping_rule import StoppingRule
        >>> fast = ModelResult("fast.onnx", latency_ms=Latency(4, 5, 6, 4, 30, 3, 5))
        >>> slow = ModelResult("slow.onnx", latency_ms=Latency(9, 10, 11, 9, 30, 8, 10))
        >>> machine = Machine("Linux", "CPU", (), 2, 0, {})
        >>> result = BenchResult(machine, (slow, fast), "", 2, StoppingRule(), None, True, ())
        >>> recommend(result, Budget(max_latency_ms=20)).path
        'fast.onnx'
    """
    candidates = [model for model in result.models if _is_within(model, budget)]
    unscored = _unscored(result, budget)
    if unscored:
        names = ", ".join(model.name for model in unscored)
        return Recommendation(
            None, f"the soft IoU of {names} is unknown, so that the files cannot be compared"
        )
    if not candidates:
        return Recommendation(None, _why_none(result, budget))
    scored = [model for model in candidates if model.accuracy is not None]
    if scored and budget.limits_cost:
        return _most_accurate(result, scored, _among(candidates, budget))
    return _fastest(result, candidates, budget)


def _unscored(result: BenchResult, budget: Budget) -> list[ModelResult]:
    """Return the files without an accuracy that are within the budget otherwise.

    Empty if none has an accuracy and none is asked for, since then latency decides.
    """
    known = any(model.accuracy is not None for model in result.models)
    if not known and budget.min_iou is None:
        return []
    costs = replace(budget, min_iou=None)
    return [
        model
        for model in result.models
        if model.accuracy is None and model.latency_ms is not None and _is_within(model, costs)
    ]


def _most_accurate(result: BenchResult, scored: list[ModelResult], among: str) -> Recommendation:
    """Recommend the fastest of the files whose soft IoU is as good as the highest.

    One that another of them dominates is not: its median latency is lower by chance.
    """
    highest = max(scored, key=lambda model: (_iou(model), -_latency(model)))
    differences = iou_differences(scored)

    def is_as_good(model: ModelResult) -> bool:
        for pair in ((model.name, highest.name), (highest.name, model.name)):
            if pair in differences:
                return iou_sign(differences[pair]) == 0
        return _iou(highest) - _iou(model) < SMALLEST_DIFFERENCE

    good = [model for model in scored if is_as_good(model)]
    names, dominators = {model.name for model in good}, find_dominators(result)
    best_of = [model for model in good if names.isdisjoint(dominators.get(model.name, ()))]
    best = min(best_of or good, key=_latency)
    if best is highest:
        return Recommendation(best.name, f"the highest soft IoU, {_iou(best):.3f}, {among}")
    return Recommendation(
        best.name,
        f"the fastest undominated file whose soft IoU, {_iou(best):.3f}, is as good as the "
        f"highest, {_iou(highest):.3f} ({highest.name}), {among}",
    )


def _fastest(result: BenchResult, candidates: list[ModelResult], budget: Budget) -> Recommendation:
    """Recommend the file with the lowest median latency."""
    timed = [model for model in candidates if model.latency_ms is not None]
    if not timed:
        return Recommendation(None, "no latency was measured")
    best = min(timed, key=_latency)
    paths = {model.name for model in candidates} - {best.name}
    pairs = [{r.first, r.second} for r in result.rankings if r.verdict == "not ranked"]
    ties = ", ".join(path for path in sorted(paths) if {path, best.name} in pairs)
    doubt = f"; the difference in latency to {ties} is not significant" if ties else ""
    return Recommendation(best.name, f"the fastest {_among(candidates, budget)}{doubt}")


def _among(candidates: list[ModelResult], budget: Budget) -> str:
    count = len(candidates)
    files = "and the only file" if count == 1 else f"of the {count} files"
    return f"{files} within the budget ({budget})" if budget.is_given else files


def _latency(model: ModelResult) -> float:
    return math.inf if model.latency_ms is None else model.latency_ms.p50


def _iou(model: ModelResult) -> float:
    return -math.inf if model.accuracy is None else model.accuracy.iou


def _p90(model: ModelResult) -> float:
    return math.nan if model.latency_ms is None else model.latency_ms.p90


def _peak_mb(model: ModelResult) -> float:
    return (model.memory_bytes or {}).get("peak", math.nan) / 1e6


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit of a budget.

    Attributes:
        figure: what is limited, with the direction of its best value ("the lowest p90").
        unit: of the figure, with a space before it.
        limit: the limit.
        read: returns the figure of a file; not finite if it was not measured.
        sign: 1 if the figure should be low, -1 if high.
    """

    figure: str
    unit: str
    limit: float
    read: Callable[[ModelResult], float]
    sign: int

    def keeps(self, model: ModelResult) -> bool:
        """Return whether a file is within the limit; a figure that was not measured never is."""
        return self.sign * self.read(model) <= self.sign * self.limit

    def gap(self, models: list[ModelResult]) -> str:
        """Return the best figure of the files, and the limit."""
        known = [value for value in map(self.read, models) if math.isfinite(value)]
        best = min(known, key=lambda value: self.sign * value, default=None)
        found = "unknown" if best is None else f"{best:.3g}{self.unit}"
        return f"{self.figure} is {found}, the limit is {self.limit:g}{self.unit}"


def _limits(budget: Budget) -> list[_Limit]:
    limits = (
        ("the lowest p90", " ms", budget.max_latency_ms, _p90, 1),
        ("the lowest peak", " MB", budget.max_memory_mb, _peak_mb, 1),
        ("the highest soft IoU", "", budget.min_iou, _iou, -1),
    )
    return [
        _Limit(figure, unit, limit, read, sign)
        for figure, unit, limit, read, sign in limits
        if limit is not None
    ]


def _is_within(model: ModelResult, budget: Budget) -> bool:
    return all(limit.keeps(model) for limit in _limits(budget))


def _why_none(result: BenchResult, budget: Budget) -> str:
    """Return the limits that no file keeps, or those that exclude each other's files."""
    models, limits = list(result.models), _limits(budget)
    if not models:
        return "nothing was measured"
    unmet = [limit for limit in limits if not any(map(limit.keeps, models))]
    if unmet:
        gaps = ", ".join(limit.gap(models) for limit in unmet)
        return f"no file is within the budget: {gaps}"
    parts = []
    for limit in limits:
        others = [other for other in limits if other is not limit]
        near = [model for model in models if all(other.keeps(model) for other in others)]
        if near:
            parts.append(limit.gap(near))
    reason = "each limit is kept by some file, but no file keeps all"
    if not parts:
        return f"{reason} ({budget})"
    return f"{reason}: among the files within the other limits, {'; '.join(parts)}"
