"""Claims on the curves of trainings."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.study.claims.claim import Claim
from bench.study.claims.curve_claims import Trainings, curve_claims
from bench.study.claims.curve_measures import Curve
from bench.study.claims.score_claims import score_claims
from bench.study.claims.tables import claims_table, measures_table
from runtime.metrics import METRICS
from tests.bench.study.claims.test_score_claims import evidence
from train.history import EpochRow

EPOCHS = np.arange(1.0, 26.0)


METRIC_CLAIMS = ("e", "f", "g", "h")


def growth(center: float, width: float, top: float, noise: float, seed: int) -> Curve:
    """A curve that rises to `top`, most steeply at the epoch `center`."""
    rng = np.random.default_rng(seed)
    return np.asarray(top / (1.0 + np.exp((center - EPOCHS) / width)) + rng.normal(0, noise, 25))


def loss(rate: float, end: float, noise: float, seed: int) -> Curve:
    rng = np.random.default_rng(seed)
    return np.asarray(end + 0.5 * np.exp(-EPOCHS / rate) + rng.normal(0, noise, 25))


def history(curves: dict[str, Curve]) -> tuple[EpochRow, ...]:
    """Rows with these curves, the metrics by both readings."""
    names = {name: [f"{name}{end}" for end in ("", "_at_half")] for name in curves}
    rows = []
    for index in range(25):
        row = EpochRow(index + 1, 1e-3, 60.0, 25.0, 0, 0, 0, 0, 0, 0, 0, 0)
        for name, curve in curves.items():
            fields = [name] if name.endswith("loss") else names[name]
            changes: dict[str, Any] = dict.fromkeys(fields, float(curve[index]))
            row = replace(row, **changes)
        rows.append(row)
    return tuple(rows)


def as_the_paper_says(seed: int) -> tuple[tuple[EpochRow, ...], tuple[EpochRow, ...]]:
    """Histories of the scratch and the pretrained network of which every claim is true."""
    scratch = {
        "train_loss": loss(9.0, 0.02, 0.0005, seed),
        "valid_loss": loss(9.0, 0.10, 0.004, seed + 1),
        "train_precision": growth(13.0, 6.0, 0.9, 0.0, seed),
        "valid_precision": growth(10.0, 1.5, 0.7, 0.003, seed + 2),
        "train_recall": growth(8.0, 4.0, 0.9, 0.001, seed),
        "valid_recall": growth(8.0, 4.0, 0.7, 0.001, seed),
        "train_iou": growth(18.0, 5.0, 0.9, 0.0, seed),
        "valid_iou": growth(10.0, 3.0, 0.4, 0.001, seed),
    }
    recall = growth(2.0, 1.0, 0.4, 0.002, seed + 3)
    precision = growth(3.0, 0.7, 0.5, 0.001, seed + 4)
    recall[11] += 0.2
    precision[11] -= 0.1
    pretrained = {
        "train_loss": loss(2.0, 0.2, 0.0001, seed),
        "valid_loss": loss(2.0, 0.25, 0.0001, seed + 5),
        "train_precision": precision,
        "valid_precision": growth(3.0, 0.7, 0.5, 0.03, seed + 6),
        "train_recall": recall,
        "valid_recall": growth(2.0, 1.0, 0.39, 0.002, seed + 7),
        "train_iou": growth(2.0, 1.0, 0.3, 0.001, seed),
        "valid_iou": growth(2.0, 1.0, 0.3, 0.001, seed),
    }
    return history(scratch), history(pretrained)


def judged(trainings: int, *, exchanged: bool = False) -> dict[tuple[str, str], Claim]:
    pairs = [as_the_paper_says(10 * seed) for seed in range(trainings)]
    scratch, pretrained = (Trainings(tuple(each)) for each in zip(*pairs, strict=True))
    if exchanged:
        scratch, pretrained = pretrained, scratch
    return {(c.letter, c.reading): c for c in curve_claims(scratch, pretrained)}


def test_every_claim_on_curves_agrees_where_it_is_true() -> None:
    found = judged(5)
    assert list(found) == [
        *((letter, "") for letter in "abcd"),
        *((letter, reading) for letter in METRIC_CLAIMS for reading in ("at 0.5", "soft")),
    ]
    for key, claim in found.items():
        open_ = [m.text for m in claim.measures if m.verdict != "agrees"]
        assert claim.verdict == "agrees", (key, open_)


def test_claims_on_the_difference_disagree_where_the_networks_are_exchanged() -> None:
    found = judged(5, exchanged=True)
    assert found["a", ""].verdict == "agrees"
    for key in [("b", ""), ("d", ""), *((letter, "soft") for letter in METRIC_CLAIMS)]:
        assert found[key].verdict == "disagrees", key


@pytest.mark.parametrize("trainings", [1, 2])
def test_fewer_than_three_trainings_decide_no_claim(trainings: int) -> None:
    words = {1: "one training", 2: "two trainings"}[trainings]
    claims = [*judged(trainings).values(), *score_claims(evidence(-1, trainings=trainings))]
    assert {row[3] for row in claims_table(claims)[1]} == {f"undecided: {words}"}
    assert {row[-1] for row in measures_table(claims)[1]} == {f"undecided: {words}"}
    for claim in judged(trainings).values():
        assert claim.verdict == "undecided"
        for measure in claim.measures:
            assert measure.value.withheld
            assert len(measure.by_training) == trainings


def test_a_history_without_metrics_at_half_leaves_its_claims_open() -> None:
    pairs = [as_the_paper_says(10 * seed) for seed in range(3)]
    names = [f"{split}_{name}_at_half" for split in ("train", "valid") for name in METRICS[1:4]]
    unknown: dict[str, Any] = dict.fromkeys(names, math.nan)

    def earlier(rows: tuple[EpochRow, ...]) -> tuple[EpochRow, ...]:
        return tuple(replace(row, **unknown) for row in rows)

    scratch, pretrained = (
        Trainings(tuple(map(earlier, each))) for each in zip(*pairs, strict=True)
    )
    found = {(c.letter, c.reading): c.verdict for c in curve_claims(scratch, pretrained)}
    assert {found[letter, "at 0.5"] for letter in METRIC_CLAIMS} == {"undecided"}
    assert {found[letter, "soft"] for letter in METRIC_CLAIMS} == {"agrees"}


def test_precision_is_zero_in_an_epoch_that_predicts_nothing() -> None:
    rows = as_the_paper_says(0)[0]
    first = (replace(rows[0], valid_precision_at_half=math.nan), *rows[1:])
    (curve,) = Trainings((first,)).curves("valid_precision_at_half")
    assert curve[0] == 0.0
    assert curve[1] == rows[1].valid_precision_at_half
