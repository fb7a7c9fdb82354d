"""The file that is recommended for a budget."""

import math
from dataclasses import dataclass

from bench.frontier.budget import Budget
from bench.frontier.differences import iou_differences
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
    bootstrap (`iou_differences`). Two cases differ: if only an IoU is asked for, the fastest file
    that reaches it is recommended. If no accuracy is known, it is the fastest within the budget.

    Example:
        >>> from runtime.core.machine import Machine
        >>> from bench.measure.latency import Latency
        >>> from runtime.model.stopping import StoppingRule
        >>> fast = ModelResult("fast.onnx", latency_ms=Latency(4, 5, 6, 4, 30, 3, 5))
        >>> slow = ModelResult("slow.onnx", latency_ms=Latency(9, 10, 11, 9, 30, 8, 10))
        >>> machine = Machine("Linux", "CPU", (), 2, 0, {})
        >>> result = BenchResult(machine, (slow, fast), "", 2, StoppingRule(), None, True, ())
        >>> recommend(result, Budget(max_latency_ms=20)).path
        'fast.onnx'
    """
    candidates = [model for model in result.models if _is_within(model, budget)]
    if not candidates:
        return Recommendation(None, _why_none(result, budget))
    scored = [model for model in candidates if model.accuracy is not None]
    if scored and budget.limits_cost:
        return _most_accurate(scored, _among(candidates, budget))
    return _fastest(result, candidates, budget)


def _most_accurate(scored: list[ModelResult], among: str) -> Recommendation:
    """Recommend the fastest of the files whose soft IoU is as good as the highest."""
    highest = max(scored, key=lambda model: (_iou(model), -_latency(model)))
    differences = iou_differences(scored)

    def is_as_good(model: ModelResult) -> bool:
        for pair in ((model.path, highest.path), (highest.path, model.path)):
            if pair in differences:
                return differences[pair].low <= 0.0 <= differences[pair].high
        return _iou(model) == _iou(highest)

    best = min(filter(is_as_good, scored), key=_latency)
    if best is highest:
        return Recommendation(best.path, f"the highest soft IoU, {_iou(best):.3f}, {among}")
    return Recommendation(
        best.path,
        f"the fastest file whose soft IoU, {_iou(best):.3f}, is not significantly different from "
        f"the highest, {_iou(highest):.3f} ({highest.path}), {among}",
    )


def _fastest(result: BenchResult, candidates: list[ModelResult], budget: Budget) -> Recommendation:
    """Recommend the file with the lowest median latency."""
    timed = [model for model in candidates if model.latency_ms is not None]
    if not timed:
        return Recommendation(None, "no latency was measured")
    best = min(timed, key=_latency)
    paths = {model.path for model in candidates} - {best.path}
    pairs = [{r.one, r.other} for r in result.rankings if r.verdict == "not ranked"]
    ties = ", ".join(path for path in sorted(paths) if {path, best.path} in pairs)
    doubt = f"; the difference in latency to {ties} is not significant" if ties else ""
    return Recommendation(best.path, f"the fastest {_among(candidates, budget)}{doubt}")


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


def _is_within(model: ModelResult, budget: Budget) -> bool:
    """Return whether a file keeps every limit; a figure that was not measured keeps none."""
    return (
        (budget.max_latency_ms is None or _p90(model) <= budget.max_latency_ms)
        and (budget.max_memory_mb is None or _peak_mb(model) <= budget.max_memory_mb)
        and (budget.min_iou is None or _iou(model) >= budget.min_iou)
    )


def _why_none(result: BenchResult, budget: Budget) -> str:
    """Return which limits there are and how near the best file comes to each."""
    if not result.models:
        return "nothing was measured"
    models, parts = result.models, []
    if budget.max_latency_ms is not None:
        lowest = _known([_p90(model) for model in models])
        best = f"{min(lowest):.3g} ms" if lowest else "unknown"
        parts.append(f"the lowest p90 is {best}, the limit is {budget.max_latency_ms:g} ms")
    if budget.max_memory_mb is not None:
        lowest = _known([_peak_mb(model) for model in models])
        best = f"{min(lowest):.3g} MB" if lowest else "unknown"
        parts.append(f"the lowest peak is {best}, the limit is {budget.max_memory_mb:g} MB")
    if budget.min_iou is not None:
        highest = _known([_iou(model) for model in models])
        best = f"{max(highest):.3g}" if highest else "unknown"
        parts.append(f"the highest soft IoU is {best}, the limit is {budget.min_iou:g}")
    return "no file is within the budget: " + ", ".join(parts)


def _known(values: list[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
