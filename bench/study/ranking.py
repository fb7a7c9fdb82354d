"""The ranking of all networks and baselines of a study on one split."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.study.result import SplitResult
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import soft_values, thresholded_values
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import Interval
from runtime.scoring.trainings import Doubles


@dataclass(frozen=True, slots=True)
class Score:
    """A mean over images, and then over trainings, with its interval.

    Attributes:
        by_training: the mean over images of each training; one value for a baseline.
    """

    mean: Interval
    by_training: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A network or a baseline with its place by mean soft IoU.

    Attributes:
        rank: 1 for the highest.
        name: of the network or of the baseline.
        baseline: whether it is a baseline.
        iou, iou_at_half: soft IoU, and IoU at threshold 0.5, over images with foreground.
        behind: its soft IoU minus that of the first, paired by image; None for the first.
        images: number of images behind the difference.
    """

    rank: int
    name: str
    baseline: bool
    iou: Score
    iou_at_half: Score
    behind: Interval | None
    images: int

    @property
    def title(self) -> str:
        """The name, with a word that tells a baseline."""
        return f"baseline: {self.name}" if self.baseline else self.name


def rank(split: SplitResult) -> tuple[Ranked, ...]:
    """Return every network and baseline of a split, the highest mean soft IoU first."""
    draws = Bootstrap(len(split.groups), split.groups)
    baselines = {baseline.name for baseline in split.baselines}
    scored = [(name, each, _values(each, soft_values)) for name, each in split.evaluations()]
    scored.sort(key=lambda row: _mean(row[2]), reverse=True)
    best = scored[0][2]
    ranked = []
    for place, (name, evaluations, values) in enumerate(scored):
        difference, trained = values - best, name not in baselines
        at_half = _values(evaluations, thresholded_values)
        ranked.append(
            Ranked(
                rank=place + 1,
                name=name,
                baseline=not trained,
                iou=_score(draws, values if trained else values[:1]),
                iou_at_half=_score(draws, at_half if trained else at_half[:1]),
                behind=draws.mean(difference).hide_value_if_withheld() if place else None,
                images=int(np.count_nonzero(~np.isnan(difference).any(axis=0))),
            )
        )
    return tuple(ranked)


def ranking_sentence(ranked: tuple[Ranked, ...]) -> str:
    """Return which network or baseline ranks first, and which do not differ significantly."""
    first, *others = ranked
    equal = [_named(row) for row in others if row.behind and not row.behind.excludes_zero]
    start = f"{_named(first)} has the highest soft IoU, {first.iou.mean.value:.3f}"
    if not equal:
        return f"{start}, significantly above all others." if others else f"{start}."
    return f"{start}; not significantly below it: {', '.join(equal)}."


def _named(row: Ranked) -> str:
    """Return a network or baseline as a sentence names it."""
    return f'the baseline "{row.name}"' if row.baseline else row.name


def _values(evaluations: Sequence[Evaluation], of: Callable[[Evaluation, str], Doubles]) -> Doubles:
    """Return the IoU of each training and image, float64 [trainings, images]."""
    return np.array([of(evaluation, "iou") for evaluation in evaluations])


def _score(draws: Bootstrap, values: Doubles) -> Score:
    return Score(draws.mean(values), tuple(_mean(run) for run in values))


def _mean(values: Doubles) -> float:
    """Return the mean of the defined values, to sort by; minus infinity without any."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else -math.inf
