"""The paper's claims: true where curves are made to have them, false or open where not."""

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bench.study.claims.claim import Claim, Measure, exactly, over_trainings
from bench.study.claims.curve_claims import Trainings, curve_claims
from bench.study.claims.curve_measures import Curve
from bench.study.claims.data_claims import data_claim, time_claim
from bench.study.claims.score_claims import score_claims
from bench.study.claims.tables import claims_table, measures_table
from bench.study.evidence import Evidence
from runtime.metrics import METRICS, Spread
from runtime.report.exploration import COMPARED, Exploration, SplitExploration
from runtime.report.two_sample import compare_splits
from runtime.scoring.comparison import Comparison, MetricDifference, Summary
from runtime.scoring.intervals import Interval
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


def test_a_measure_over_trainings_has_students_interval() -> None:
    values = [0.2, 0.35, 0.3, 0.24]
    found = over_trainings("gain", values, above=0.0).value
    low, high = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_ratios_are_averaged_by_their_logarithms() -> None:
    values = [2.0, 8.0, 3.0]
    found = over_trainings("ratio", values, above=1.0, ratio=True)
    low, high = np.exp(ttest_1samp(np.log(values), 0.0).confidence_interval(0.95))
    expected = np.cbrt(48.0), low, high
    assert (found.value.value, found.value.low, found.value.high) == pytest.approx(expected)
    assert found.by_training == (2.0, 8.0, 3.0)
    assert over_trainings("ratio", [2.0, 0.0, 3.0], above=1.0, ratio=True).verdict == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "above", "expected"),
    [
        (0.1, 0.2, True, "agrees"),
        (0.1, 0.2, False, "disagrees"),
        (-0.2, -0.1, True, "disagrees"),
        (-0.2, -0.1, False, "agrees"),
        (-0.1, 0.1, True, "undecided"),
        (0.0, 0.1, True, "undecided"),
        (0.0, 0.0, True, "disagrees"),
        (math.nan, math.nan, True, "undecided"),
    ],
)
def test_a_measure_needs_its_whole_interval_beyond_the_limit(
    low: float, high: float, above: bool, expected: str
) -> None:
    assert Measure("", Interval(0.0, low, high), above, 0.0).verdict == expected


def test_a_claim_agrees_with_all_its_measures_and_disagrees_with_one() -> None:
    yes, no = exactly("", 1.0, above=0.0), exactly("", -1.0, above=0.0)
    unclear = Measure("", Interval(0.0, -1.0, 1.0), True, 0.0)
    for measures, expected in (
        ((yes, yes), "agrees"),
        ((yes, unclear), "undecided"),
        ((yes, unclear, no), "disagrees"),
        ((), "undecided"),
    ):
        assert Claim("a", "", "", measures).verdict == expected
    assert Claim("a", "", "", (yes,), note="another machine").verdict == "undecided"


def evidence(sign: float, *, trainings: int) -> Evidence:
    low, high = sorted((sign * 0.05, sign * 0.15))
    interval, each = Interval(sign * 0.1, low, high), (sign * 0.1,) * trainings
    differences = tuple(
        MetricDifference(metric, kind, 0.5, 0.5, interval, 40, 40, each)
        for metric in METRICS
        for kind in get_args(Summary)
    )
    return Evidence(Comparison("scratch", "resnet50", 40, 40, 0.95, differences, trainings), ())


@pytest.mark.parametrize(
    ("sign", "trainings", "expected"),
    [(-1, 3, "agrees"), (1, 3, "disagrees"), (-1, 2, "undecided"), (1, 1, "undecided")],
)
def test_scratch_is_better_or_worse_on_the_test_images(
    sign: float, trainings: int, expected: str
) -> None:
    better, narrower = score_claims(evidence(sign, trainings=trainings))
    assert (better.verdict, narrower.verdict) == (expected, expected)
    assert [len(better.measures), len(narrower.measures)] == [4, 2]


def exploration(*, shifted: float = 0.0, wide: float = 1.0, large: int = 3) -> Exploration:
    rng = np.random.default_rng(0)
    splits = []
    for name, count in (("train", 300), ("valid", 80), ("test", 80)):
        values = {quantity: rng.uniform(0.2, 0.8, count) for quantity in COMPARED}
        values["gray"] = values["gray"] + (shifted if name == "test" else 0.0)
        values["aspect"] = 2.0 ** rng.normal(0.0, wide if name == "test" else 0.4, count)
        area = rng.uniform(1e3, 5e4, count)
        if name == "train":
            area[:large] = 2e5
        lists = {key: tuple(value.tolist()) for key, value in values.items()}
        spreads: dict[str, Spread] = {}
        splits.append(
            SplitExploration(
                name, count, count, 0, (), 0.5, 0.1, area=tuple(area.tolist()), centers=(),
                spreads=spreads, **lists,
            )
        )  # fmt: skip
    tests = compare_splits({q: {s.name: s.values(q) for s in splits} for q in COMPARED})
    return Exploration("set", (64, 64), tuple(splits), (), (), tests)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "agrees"),
        ({"shifted": 0.5}, "disagrees"),
        ({"wide": 0.1}, "disagrees"),
        ({"wide": 0.4}, "undecided"),
        ({"large": 0}, "disagrees"),
    ],
)
def test_the_data_set_is_or_is_not_as_the_paper_says(
    changes: dict[str, float], expected: str
) -> None:
    assert data_claim(exploration(**changes)).verdict == expected  # type: ignore[arg-type]


def test_a_time_on_another_machine_decides_nothing() -> None:
    for full, note in ((True, "another machine"), (False, "another machine, and not the full")):
        claim = time_claim(2.5, full_protocol=full)
        assert claim.verdict == "undecided"
        assert claim.note.startswith(note)
        assert claim.measures[0].value.value == 2.5


def test_the_tables_have_a_row_for_each_claim_and_each_measure() -> None:
    claims = list(judged(3).values())
    _, rows = claims_table(claims)
    assert [row[0] for row in rows] == [claim.letter for claim in claims]
    assert {str(row[3]) for row in rows} == {"agrees"}
    _, measures = measures_table(claims)
    assert len(measures) == sum(len(claim.measures) for claim in claims)
    (final,) = (
        row for row in measures if row[0] == "e" and row[1] == "soft" and "final" in str(row[2])
    )
    found = judged(3)["e", "soft"].measures[2]
    assert final[3:] == [
        "below 0",
        f"{found.value.value:.3g} [{found.value.low:.3g}, {found.value.high:.3g}]",
        ", ".join(f"{value:.3g}" for value in found.by_training),
        "agrees",
    ]
