"""Example scans for a report, from the lower and the upper quartile of each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import MaskKind
from runtime.data.resizing import to_input
from runtime.data.split import Split
from runtime.metrics import STUDY_METRICS, Scores, image_scores
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import Evaluation

Quartile = Literal["lower", "upper"]
EXAMPLES = 2
"""Scans per network, metric and quartile."""


@dataclass(frozen=True, slots=True)
class ExampleScan:
    """A scan in a quartile of a metric.

    Attributes:
        file: name of the scan.
        chosen_by: the networks for which it is in this quartile.
    """

    metric: str
    quartile: Quartile
    file: str
    chosen_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The arrays and scores of an example scan, at the input size of the networks.

    Attributes:
        scan: RGB, uint8 [H, W, 3].
        mask: uint8 [H, W] of 0 and 1.
        probability: the map of each network, float32 [H, W] in [0, 1].
        scores: the soft metrics of each network on this scan.
    """

    scan: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    probability: Mapping[str, NDArray[np.float32]]
    scores: Mapping[str, Scores]


def choose_examples(evaluations: Sequence[Evaluation]) -> tuple[ExampleScan, ...]:
    """Choose scans evenly by rank from each quartile of each metric of each network.

    A scan that several networks have in a quartile appears once. Images where a metric is
    undefined are ignored.
    """
    examples: list[ExampleScan] = []
    for metric in STUDY_METRICS:
        quartiles: tuple[Quartile, ...] = ("lower", "upper")
        for quartile in quartiles:
            chosen: dict[str, list[str]] = {}
            for evaluation in evaluations:
                for file in _of_quartile(evaluation, metric, quartile):
                    chosen.setdefault(file, []).append(evaluation.name)
            examples += [
                ExampleScan(metric, quartile, file, tuple(by)) for file, by in chosen.items()
            ]
    return tuple(examples)


def _of_quartile(evaluation: Evaluation, metric: str, quartile: Quartile) -> list[str]:
    values = [(getattr(image_scores(s.soft), metric), s.file) for s in evaluation.samples]
    ranked = sorted((value, file) for value, file in values if value == value)
    quarter = max(1, len(ranked) // 4)
    part = ranked[:quarter] if quartile == "lower" else ranked[-quarter:]
    places = np.unique(np.linspace(0, len(part) - 1, EXAMPLES + 2)[1:-1].round().astype(int))
    return [part[place][1] for place in places] if part else []


def predict_examples(
    files: Sequence[str],
    split: Split,
    predictors: Mapping[str, Predictor],
    evaluations: Sequence[Evaluation],
    *,
    masks: MaskKind,
) -> dict[str, Pictures]:
    """Return the maps and scores of each network on each of the named scans.

    Args:
        predictors: by the network's name; at least one, all with the same input size.
        masks: what the masks are drawn from.

    Raises:
        ImageError, AnnotationError: a sample cannot be read.
        ModelError: a network's output is not a probability map.
    """
    samples = {sample.file_name: sample for sample in split.samples}
    known = {e.name: {s.file: image_scores(s.soft) for s in e.samples} for e in evaluations}
    size = next(iter(predictors.values())).size
    pictures = {}
    for file in dict.fromkeys(files):
        sample = samples[file]
        pixels = sample.load(size).pixels
        image = to_input(pixels)[None]
        pictures[file] = Pictures(
            scan=pixels,
            mask=sample.mask(size, masks),
            probability={name: predictor.run(image)[0] for name, predictor in predictors.items()},
            scores={name: each[file] for name, each in known.items()},
        )
    return pictures
