"""Claims k and l: what the paper says of its data set, and of the time that training took."""

import numpy as np

from bench.study.claims.claim import Claim, Measure, exactly
from runtime.report.exploration import Exploration, SplitExploration
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.trainings import Doubles

SIMILAR = ("gray", "share", "center_x", "center_y")
"""Pixel values, sizes and places, by which, says the paper, the splits do not differ."""
LARGE = 100_000.0
"""Pixels of a large tumor."""
HOURS = 8.0
"""The training time on the authors' machine."""
_ALPHA = 0.05


def data_claim(exploration: Exploration) -> Claim:
    """Return claim k, judged by the original split."""
    smallest = min(t.holm_p_value for t in exploration.tests if t.quantity in SIMILAR)
    train, others = _named(exploration, "train"), ("valid", "test")
    elsewhere = sum(_large(_named(exploration, name)) for name in others)
    measures = (
        exactly(
            "smallest p-value of the tests of pixel values, sizes and places",
            smallest,
            above=_ALPHA,
        ),
        _aspect_spread(exploration),
        exactly("tumors above 100,000 pixels in train", _large(train), above=0.0),
        exactly("the same in valid and test", elsewhere, below=1.0),
    )
    text = (
        "The splits do not differ in pixel values, sizes or places; aspect ratios are spread more "
        "evenly in test; train alone holds a few tumors above 100,000 pixels"
    )
    return Claim("k", text, "", measures)


def time_claim(hours: float, *, full_protocol: bool) -> Claim:
    """Return claim l.

    Args:
        hours: in which both networks were trained here, once each.
        full_protocol: whether that was the study's.
    """
    note = "another machine" if full_protocol else "another machine, and not the full protocol"
    measure = exactly("hours of training of both networks", hours, below=HOURS)
    text = "Training took about eight hours on the authors' machine"
    return Claim("l", text, "", (measure,), note)


def _aspect_spread(exploration: Exploration) -> Measure:
    """Return how much more the aspect ratios of the test split are spread than those of train.

    The spread is the mean distance of log2(width / height) from its median, as in the test of
    Brown and Forsythe (1974).
    """
    test, train = (_distances(_named(exploration, name)) for name in ("test", "train"))
    interval = Bootstrap(len(test)).mean_difference(test, Bootstrap(len(train), seed=1), train)
    return Measure("spread of the aspect ratios, in octaves, test minus train", interval, True, 0.0)


def _distances(split: SplitExploration) -> Doubles:
    octaves = np.log2(split.aspect)
    return np.asarray(np.abs(octaves - np.median(octaves)), np.float64)


def _large(split: SplitExploration) -> int:
    return sum(area > LARGE for area in split.area)


def _named(exploration: Exploration, name: str) -> SplitExploration:
    return next(split for split in exploration.splits if split.name == name)
