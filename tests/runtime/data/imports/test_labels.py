"""Levels of masks as categories, against the levels that were put there."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.errors import ConfigError
from runtime.data.imports.labels import LabelRule, label_rule
from runtime.data.imports.source import UnusableScanError

LEVELS = st.lists(st.integers(0, 9), min_size=6, max_size=6)


def regions(rule: LabelRule, levels: list[float]) -> dict[str, list[bool]]:
    found = rule.regions(np.array([levels], np.float32))
    return {category.name: mask[0].tolist() for category, mask in found}


@given(LEVELS)
@settings(max_examples=30, deadline=None)
def test_each_named_level_is_a_category_of_its_own_pixels(levels: list[int]) -> None:
    names = {1: "edema", 2: "core"}
    expected = {
        names.get(level, f"label {level}"): [each == level for each in levels]
        for level in sorted({*levels} - {0})
    }
    assert regions(LabelRule(names=names), [*map(float, levels)]) == expected


@given(LEVELS, st.integers(1, 9), st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_a_range_has_both_its_ends(levels: list[int], low: int, more: int) -> None:
    rule = label_rule([f"tumor={low}-{low + more}"], None)
    mask = [low <= level <= low + more for level in levels]
    assert regions(rule, [*map(float, levels)]) == ({"tumor": mask} if any(mask) else {})


def test_choices_are_numbered_and_named() -> None:
    rule = label_rule(["whole = edema, 3-4", "core", "7"], {1: "edema", 2: "core"})
    assert [(c.id, c.name, c.levels) for c in rule.chosen] == [
        (1, "whole", ((1, 1), (3, 4))), (2, "core", ((2, 2),)), (3, "label 7", ((7, 7),)),
    ]  # fmt: skip


@pytest.mark.parametrize("levels", [[0.5, 0.0], [-1.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_labels_that_are_no_whole_numbers_are_refused(levels: list[float]) -> None:
    with pytest.raises(UnusableScanError, match="not whole numbers of 0 or more"):
        regions(LabelRule(), levels)


def test_a_mask_without_names_is_of_one_level() -> None:
    assert regions(LabelRule(), [0.0, 255.0]) == {"foreground": [False, True]}
    with pytest.raises(UnusableScanError, match="with the levels 1, 2, 3, 4 and 2 more"):
        regions(LabelRule(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


@pytest.mark.parametrize(
    ("choice", "names", "words"),
    [
        ("edma", {1: "edema"}, "no label 'edma'; the labels are 'edema'"),
        ("tumor=0", None, "no label '0'; the masks name no labels"),
        ("tumor=4-3", None, "no label '4-3'"),
        ("tumor=1-", None, "no label '1-'"),
    ],
)
def test_a_choice_that_names_no_label_is_refused(
    choice: str, names: dict[int, str] | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        label_rule([choice], names)


def test_two_choices_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two choices have the same name"):
        label_rule(["a=1", "a=2"], None)
