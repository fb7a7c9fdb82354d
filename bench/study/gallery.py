"""Scans to look at: from the lower and the upper quartile of each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.data.coco import Split
from runtime.data.images import load_scan, to_input
from runtime.metrics import STUDY_METRICS, Scores, scores
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import Evaluation

Quartile = Literal["lower", "upper"]
CASES = 2
"""Of each network, in a quartile of a metric."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scan in a quartile.

    Attributes:
        file: its name.
        chosen_by: the networks in whose quartile it lies here.
    """

    metric: str
    quartile: Quartile
    file: str
    chosen_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is shown of a scan, at the networks' input size.

    Attributes:
        scan: RGB, uint8 [H, W, 3].
        mask: uint8 [H, W] of 0 and 1.
        probability: each network's, float32 [H, W] in [0, 1].
        scores: each network's soft metrics of this scan.
    """

    scan: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    probability: Mapping[str, NDArray[np.float32]]
    scores: Mapping[str, Scores]


def choose_cases(evaluations: Sequence[Evaluation]) -> tuple[Case, ...]:
    """Choose scans evenly by rank from each quartile of each metric of each network.

    A scan that several networks' quartiles give is one case. Images where a metric is undefined
    are left aside.
    """
    cases: list[Case] = []
    for metric in STUDY_METRICS:
        quartiles: tuple[Quartile, ...] = ("lower", "upper")
        for quartile in quartiles:
            chosen: dict[str, list[str]] = {}
            for evaluation in evaluations:
                for file in _of_quartile(evaluation, metric, quartile):
                    chosen.setdefault(file, []).append(evaluation.name)
            cases += [Case(metric, quartile, file, tuple(by)) for file, by in chosen.items()]
    return tuple(cases)


def _of_quartile(evaluation: Evaluation, metric: str, quartile: Quartile) -> list[str]:
    values = [(getattr(scores(s.soft), metric), s.file) for s in evaluation.samples]
    ranked = sorted((value, file) for value, file in values if value == value)
    quarter = max(1, len(ranked) // 4)
    part = ranked[:quarter] if quartile == "lower" else ranked[-quarter:]
    places = np.unique(np.linspace(0, len(part) - 1, CASES + 2)[1:-1].round().astype(int))
    return [part[place][1] for place in places] if part else []


def draw_cases(
    files: Sequence[str],
    split: Split,
    predictors: Mapping[str, Predictor],
    evaluations: Sequence[Evaluation],
) -> dict[str, Pictures]:
    """Run each network on each of the named scans.

    Args:
        predictors: at least one, all of one input size.

    Raises:
        ImageError, AnnotationError: a sample cannot be read.
        ModelError: a network's output is not a probability map.
    """
    samples = {sample.file_name: sample for sample in split.samples}
    known = {e.name: {s.file: scores(s.soft) for s in e.samples} for e in evaluations}
    size = next(iter(predictors.values())).size
    pictures = {}
    for file in dict.fromkeys(files):
        sample = samples[file]
        pixels = load_scan(sample.path, size).pixels
        image = to_input(pixels)[None]
        pictures[file] = Pictures(
            scan=pixels,
            mask=sample.mask(size),
            probability={name: predictor.run(image)[0] for name, predictor in predictors.items()},
            scores={name: each[file] for name, each in known.items()},
        )
    return pictures
