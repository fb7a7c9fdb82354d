"""One file for a budget."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.frontier.differences import iou_differences
from bench.measure.result import BenchResult, ModelResult
from runtime.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Budget:
    """What a file may cost and has to reach; None where there is no limit.

    Attributes:
        max_latency_ms: of nine runs in ten (MLPerf's single stream is judged by this percentile).
        max_memory_mb: of the process at its peak, in 10^6 bytes.
        min_iou: soft, mean over images.
    """

    max_latency_ms: float | None = None
    max_memory_mb: float | None = None
    min_iou: float | None = None

    def __post_init__(self) -> None:
        for limit in (self.max_latency_ms, self.max_memory_mb, self.min_iou):
            if limit is not None and not 0.0 <= limit < math.inf:
                raise ConfigError(f"budget: expected limits of 0 or more, found {limit:g}")

    def __str__(self) -> str:
        limits = (
            (self.max_latency_ms, "p90 of at most {:g} ms"),
            (self.max_memory_mb, "a peak of at most {:g} MB"),
            (self.min_iou, "soft IoU of at least {:g}"),
        )
        return ", ".join(text.format(limit) for limit, text in limits if limit is not None)

    @property
    def is_given(self) -> bool:
        """Whether there is any limit."""
        return self != Budget()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The file for a budget, and why.

    Attributes:
        path: None where no file fits.
        reason: a sentence.
    """

    path: str | None
    reason: str


def recommend(result: BenchResult, budget: Budget) -> Recommendation:
    """Return the file of the highest IoU within the budget, or a faster one that is as good.

    As good is one whose soft IoU the paired bootstrap cannot tell from it (`iou_differences`).
    Where only an IoU is asked for, it is the fastest file that reaches it; where no file's accuracy
    is known, and none is asked for, the fastest within the budget.
    """
    fitting = [model for model in result.models if _fits(model, budget)]
    if not fitting:
        return Recommendation(None, _why_none(result, budget))
    scored = [model for model in fitting if model.accuracy is not None]
    only_iou = budget.max_latency_ms is None and budget.max_memory_mb is None
    if only_iou or not scored:
        timed = [model for model in fitting if model.latency_ms is not None]
        if not timed:
            return Recommendation(None, "no latency was measured")
        best = min(timed, key=_latency)
        return Recommendation(
            best.path, f"the fastest, {_of(fitting, budget)}{_unsure(result, fitting, best)}"
        )
    highest = max(scored, key=lambda model: (_iou(model), -_latency(model)))
    differences = iou_differences(scored)

    def is_as_good(model: ModelResult) -> bool:
        for pair in ((model.path, highest.path), (highest.path, model.path)):
            if pair in differences:
                return differences[pair].low <= 0.0 <= differences[pair].high
        return _iou(model) == _iou(highest)

    best, among = min(filter(is_as_good, scored), key=_latency), _of(fitting, budget)
    if best is highest:
        return Recommendation(best.path, f"the highest soft IoU, {_iou(best):.3f}, {among}")
    return Recommendation(
        best.path,
        f"the fastest {among} whose soft IoU, {_iou(best):.3f}, the images cannot tell from the "
        f"highest, {_iou(highest):.3f} ({highest.path})",
    )


def _latency(model: ModelResult) -> float:
    return float("inf") if model.latency_ms is None else model.latency_ms.p50


def _iou(model: ModelResult) -> float:
    return float("-inf") if model.accuracy is None else model.accuracy.iou


def _p90(model: ModelResult) -> float | None:
    return None if model.latency_ms is None else model.latency_ms.p90


def _peak_mb(model: ModelResult) -> float | None:
    found = (model.memory_bytes or {}).get("peak")
    return None if found is None else found / 1e6


def _score(model: ModelResult) -> float | None:
    return None if model.accuracy is None else model.accuracy.iou


def _fits(model: ModelResult, budget: Budget) -> bool:
    """Tell whether a file keeps every limit; what was not measured keeps none."""
    limits = (
        (budget.max_latency_ms, _p90(model), 1.0),
        (budget.max_memory_mb, _peak_mb(model), 1.0),
        (budget.min_iou, _score(model), -1.0),
    )
    return all(
        limit is None or (value is not None and sign * value <= sign * limit)
        for limit, value, sign in limits
    )


def _of(fitting: list[ModelResult], budget: Budget) -> str:
    fit = "and the only one that fits" if len(fitting) == 1 else f"of the {len(fitting)} that fit"
    return f"{fit} ({budget})" if budget.is_given else fit


def _unsure(result: BenchResult, fitting: list[ModelResult], best: ModelResult) -> str:
    paths = {model.path for model in fitting} - {best.path}
    pairs = [{r.one, r.other} for r in result.rankings if r.verdict == "not ranked"]
    alike = [path for path in sorted(paths) if {path, best.path} in pairs]
    return f", though this run cannot tell it from {', '.join(alike)}" if alike else ""


def _why_none(result: BenchResult, budget: Budget) -> str:
    limits: tuple[tuple[float | None, Callable[[ModelResult], float | None], str, str], ...] = (
        (budget.max_latency_ms, _p90, "ms", "lowest p90"),
        (budget.max_memory_mb, _peak_mb, "MB", "smallest peak"),
        (budget.min_iou, _score, "", "highest soft IoU"),
    )
    parts = []
    for limit, read, unit, what in limits:
        values = [value for model in result.models if (value := read(model)) is not None]
        if limit is not None:
            best = (max if what.startswith("highest") else min)(values, default=None)
            found = "unknown" if best is None else f"{best:.3g} {unit}".strip()
            parts.append(f"the {what} is {found}, asked for is {limit:g} {unit}".strip())
    return "no file fits: " + ", ".join(parts) if parts else "nothing was measured"
