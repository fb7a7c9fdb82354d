"""When a difference is significant, and what is said of withheld intervals."""

import math

import pytest

from runtime.scoring.intervals import Interval, withheld_notes

FEW = Interval(0.8, math.nan, math.nan, "4 images are too few")
OTHER = Interval(0.8, math.nan, math.nan, "5 groups are too few")
KNOWN = Interval(0.1, 0.0, 0.2)


@pytest.mark.parametrize(
    ("low", "high", "significant"),
    [
        (0.01, 0.2, True),
        (-0.2, -0.01, True),
        (0.0, 0.2, False),
        (-0.2, 0.0, False),
        (-0.1, 0.1, False),
        (math.nan, math.nan, False),
    ],
)
def test_an_interval_that_touches_zero_is_not_significant(
    low: float, high: float, significant: bool
) -> None:
    assert Interval(0.0, low, high).excludes_zero is significant


def test_a_withheld_interval_hides_its_value() -> None:
    assert math.isnan(FEW.hide_value_if_withheld().value)
    assert KNOWN.hide_value_if_withheld() == KNOWN


def test_notes_name_what_was_withheld_by_reason_and_the_first_four() -> None:
    named = [(name, FEW) for name in "abcdef"] + [("a", FEW), ("g", KNOWN), ("h", OTHER)]
    assert withheld_notes(named) == [
        "Withheld, as 4 images are too few: a, b, c, d and 2 more.",
        "Withheld, as 5 groups are too few: h.",
    ]
    assert withheld_notes(named[:6]) == ["Withheld, as 4 images are too few: all intervals."]
    assert withheld_notes([("g", KNOWN), ("a", FEW)]) == ["Withheld, as 4 images are too few: a."]
