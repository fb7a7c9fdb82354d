"""Claims a to h: on the curves of training and validation.

Their source is what the paper reads off its figures of loss, precision, recall and IoU over the
epochs. Its metrics there are those of a classifier (at 0.5), so claims e to h are judged by these,
and by the soft ones as well. As in its figure, the loss is looked at from the third epoch on, since
the first two flatten the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.study.claims.claim import Claim, Measure, over_trainings
from bench.study.claims.curve_measures import (
    CONVERGED,
    OUTLYING,
    Curve,
    excess_at,
    final_level,
    fluctuation,
    late_change,
    peak,
    settling_epoch,
    smallest_rise,
    steepest_epoch,
    trend,
)
from runtime.scoring.trainings import why_undecided
from train.history import EpochRow

SKIPPED_EPOCHS = 2
"""First epochs that the loss omits, in figures and in measures of its shape."""
READINGS: Mapping[str, str] = {"at 0.5": "_at_half", "soft": ""}
"""The metrics of a history that claims e to h are judged by, and the end of their names."""
STEADY = 0.9
"""Smallest trend of a curve that moves steadily."""
STEEP_AFTER = 7
"""The epoch after which, says the paper, validation precision rises steeply."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """The histories of one network's trainings."""

    histories: tuple[tuple[EpochRow, ...], ...]

    def curves(self, name: str) -> list[Curve]:
        """Return the values over the epochs of a history's field, for each training.

        Precision is undefined in an epoch that predicts nothing, mostly the first; it counts as 0.
        """
        curves = [np.array([getattr(row, name) for row in rows]) for rows in self.histories]
        return [c if np.isnan(c).all() else np.nan_to_num(c, nan=0.0) for c in curves]

    def losses(self, name: str) -> list[Curve]:
        """Return the curves of a loss, from the third epoch on where there are more than three."""
        return [c[SKIPPED_EPOCHS:] if len(c) > SKIPPED_EPOCHS + 1 else c for c in self.curves(name)]


def curve_claims(scratch: Trainings, pretrained: Trainings) -> tuple[Claim, ...]:
    """Return the claims a to d, on the loss, and e to h by each reading of the metrics."""
    metrics = [
        claim(scratch, pretrained, reading)
        for claim in (_precision, _validation_precision, _recall, _iou)
        for reading in READINGS
    ]
    losses = (
        _improvement(scratch, pretrained),
        _training_loss(scratch),
        _validation_loss(scratch),
        _pretrained_loss(scratch, pretrained),
    )
    too_few = why_undecided(len(scratch.histories))
    return tuple(replace(claim, note=too_few) for claim in (*losses, *metrics))


def _improvement(scratch: Trainings, pretrained: Trainings) -> Claim:
    measures = [
        over_trainings(
            f"trend of the {split} loss, {name}",
            [trend(curve) for curve in runs.curves(f"{split}_loss")],
            below=0.0,
        )
        for name, runs in (("scratch", scratch), ("pretrained", pretrained))
        for split in ("train", "valid")
    ]
    return Claim("a", "Both networks improve over the epochs", "", tuple(measures))


def _training_loss(scratch: Trainings) -> Claim:
    curves = scratch.losses("train_loss")
    measures = (
        over_trainings("trend of the train loss", [trend(c) for c in curves], below=-STEADY),
        over_trainings("its late change", [late_change(c) for c in curves], below=-CONVERGED),
    )
    text = "The training loss of scratch falls steadily and has not converged at the end"
    return Claim("b", text, "", measures)


def _validation_loss(scratch: Trainings) -> Claim:
    train, valid = scratch.losses("train_loss"), scratch.losses("valid_loss")
    measures = (
        over_trainings(
            "final valid loss minus train loss",
            _paired(lambda t, v: final_level(v) - final_level(t), train, valid),
            above=0.0,
        ),
        over_trainings(
            "fluctuation, valid relative to train",
            _paired(lambda t, v: _ratio(fluctuation(v), fluctuation(t)), train, valid),
            above=1.0,
            ratio=True,
        ),
        over_trainings("late change of the valid loss", [late_change(v) for v in valid], below=0.0),
    )
    text = "The validation loss of scratch is higher, fluctuates more, and still falls"
    return Claim("c", text, "", measures)


def _pretrained_loss(scratch: Trainings, pretrained: Trainings) -> Claim:
    measures: list[Measure] = []
    for split in ("train", "valid"):
        own, other = pretrained.losses(f"{split}_loss"), scratch.losses(f"{split}_loss")
        measures += [
            over_trainings(
                f"fluctuation of the {split} loss, relative to scratch",
                _paired(lambda p, s: _ratio(fluctuation(p), fluctuation(s)), own, other),
                below=1.0,
                ratio=True,
            ),
            _earlier(f"{split} loss", own, other),
            over_trainings(
                f"final {split} loss minus that of scratch",
                _paired(lambda p, s: final_level(p) - final_level(s), own, other),
                above=0.0,
            ),
        ]
    text = (
        "The losses of the pretrained network are steadier and converge earlier, to a higher value"
    )
    return Claim("d", text, "", tuple(measures))


def _precision(scratch: Trainings, pretrained: Trainings, reading: str) -> Claim:
    name = f"train_precision{READINGS[reading]}"
    own, other = pretrained.curves(name), scratch.curves(name)
    measures = (
        over_trainings(
            "smallest rise between fifths of the training, scratch",
            [smallest_rise(curve) for curve in other],
            above=0.0,
        ),
        _earlier("train precision", own, other),
        _lower("train precision", own, other),
    )
    text = (
        "The training precision of scratch rises throughout; that of the pretrained network "
        "converges earlier, and lower"
    )
    return Claim("e", text, reading, measures)


def _validation_precision(scratch: Trainings, pretrained: Trainings, reading: str) -> Claim:
    name = f"valid_precision{READINGS[reading]}"
    own, other = pretrained.curves(name), scratch.curves(name)
    measures = (
        over_trainings(
            "epoch of the steepest rise, scratch",
            [steepest_epoch(curve) for curve in other],
            above=STEEP_AFTER,
        ),
        over_trainings(
            "the same of the pretrained network, minus that",
            _paired(lambda p, s: steepest_epoch(p) - steepest_epoch(s), own, other),
            below=0.0,
        ),
        over_trainings(
            "its fluctuation, relative to scratch",
            _paired(lambda p, s: _ratio(fluctuation(p), fluctuation(s)), own, other),
            above=1.0,
            ratio=True,
        ),
    )
    text = (
        f"The validation precision of scratch rises steeply after epoch {STEEP_AFTER}; that of the "
        "pretrained network earlier, with stronger fluctuation"
    )
    return Claim("f", text, reading, measures)


def _recall(scratch: Trainings, pretrained: Trainings, reading: str) -> Claim:
    end = READINGS[reading]
    train, valid = (pretrained.curves(f"{split}_recall{end}") for split in ("train", "valid"))
    precision = pretrained.curves(f"train_precision{end}")
    measures = (
        *_converged("recall", train, valid),
        over_trainings(
            "distance of the final train and valid recall",
            _paired(lambda t, v: abs(final_level(t) - final_level(v)), train, valid),
            below=CONVERGED,
        ),
        _lower("train recall", train, scratch.curves(f"train_recall{end}")),
        over_trainings(
            "highest peak of the train recall, in deviations",
            [peak(curve)[1] for curve in train],
            above=OUTLYING,
            ratio=True,
        ),
        over_trainings(
            "train precision in that epoch, minus its neighbors'",
            _paired(lambda r, p: excess_at(p, peak(r)[0]), train, precision),
            below=0.0,
        ),
    )
    text = (
        "The recall of the pretrained network, train and valid, converges to a similarly low "
        "value, with a peak in one epoch that costs precision"
    )
    return Claim("g", text, reading, measures)


def _iou(scratch: Trainings, pretrained: Trainings, reading: str) -> Claim:
    end = READINGS[reading]
    train, valid = (scratch.curves(f"{split}_iou{end}") for split in ("train", "valid"))
    measures = (
        over_trainings(
            "late change of the train IoU, scratch",
            [late_change(curve) for curve in train],
            above=CONVERGED,
        ),
        over_trainings(
            "final train IoU minus valid IoU, scratch",
            _paired(lambda t, v: final_level(t) - final_level(v), train, valid),
            above=0.0,
        ),
        _lower("train IoU", pretrained.curves(f"train_iou{end}"), train),
    )
    text = (
        "The training IoU of scratch has not converged at the end and its validation IoU stays "
        "below (it overfits); the pretrained network underfits"
    )
    return Claim("h", text, reading, measures)


def _converged(what: str, train: list[Curve], valid: list[Curve]) -> Iterator[Measure]:
    for split, curves in (("train", train), ("valid", valid)):
        changes = [abs(late_change(curve)) for curve in curves]
        yield over_trainings(f"late change of the {split} {what}", changes, below=CONVERGED)


def _earlier(what: str, own: list[Curve], other: list[Curve]) -> Measure:
    """Return how much earlier the pretrained network's curve settles."""
    difference = _paired(lambda p, s: settling_epoch(p) - settling_epoch(s), own, other)
    text = f"epoch from which the {what} stays near its end, minus that of scratch"
    return over_trainings(text, difference, below=0.0)


def _lower(what: str, own: list[Curve], other: list[Curve]) -> Measure:
    """Return how much lower the pretrained network's curve ends."""
    difference = _paired(lambda p, s: final_level(p) - final_level(s), own, other)
    return over_trainings(f"final {what} minus that of scratch", difference, below=0.0)


def _paired(
    measure: Callable[[Curve, Curve], float], one: Sequence[Curve], other: Sequence[Curve]
) -> list[float]:
    return [measure(*pair) for pair in zip(one, other, strict=True)]


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else float("nan")
