"""The ranking of all networks and baselines of a study on one split."""

import math
from dataclasses import dataclass

import numpy as np

from bench.study.result import SplitResult
from runtime.scoring.bootstrap import Bootstrap, Doubles, Interval
from runtime.scoring.comparison import soft_values


@dataclass(frozen=True, slots=True)
class Ranked:
    """A network or a baseline with its place by mean soft IoU.

    Attributes:
        rank: 1 for the highest.
        name: of the network, or "baseline: " and that of the baseline.
        iou: soft IoU, mean over images with foreground, with its interval.
        behind: its soft IoU minus that of the first, paired by image; None for the first.
        images: number of images behind the difference.
        iou_at_half: IoU at threshold 0.5, mean over images with foreground.
    """

    rank: int
    name: str
    iou: Interval
    behind: Interval | None
    images: int
    iou_at_half: float


def rank(split: SplitResult) -> tuple[Ranked, ...]:
    """Return every network and baseline of a split, the highest mean soft IoU first."""
    named = [(network.network, network.evaluation) for network in split.networks]
    named += [(f"baseline: {baseline.name}", baseline) for baseline in split.baselines]
    scored = [(name, e, soft_values(e, "iou")) for name, e in named]
    scored.sort(key=lambda row: _mean(row[2]), reverse=True)
    draws = Bootstrap(len(split.groups), split.groups)
    best = scored[0][2]
    ranked = []
    for place, (name, evaluation, values) in enumerate(scored):
        difference = values - best
        ranked.append(
            Ranked(
                rank=place + 1,
                name=name,
                iou=draws.mean(values),
                behind=draws.mean(difference).hide_value_if_withheld() if place else None,
                images=int(np.count_nonzero(~np.isnan(difference))),
                iou_at_half=evaluation.thresholded.per_image["iou"].mean,
            )
        )
    return tuple(ranked)


def ranking_sentence(ranked: tuple[Ranked, ...]) -> str:
    """Return which network or baseline ranks first, and which do not differ significantly."""
    first, *others = ranked
    equal = [row.name for row in others if row.behind and not row.behind.excludes_zero]
    start = f"{first.name} has the highest soft IoU, {first.iou.value:.3f}"
    if not equal:
        return f"{start}, significantly above all others." if others else f"{start}."
    return f"{start}; not significantly below it: {', '.join(equal)}."


def _mean(values: Doubles) -> float:
    """Return the mean of the defined values, to sort by; minus infinity without any."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else -math.inf
