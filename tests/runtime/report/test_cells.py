"""How numbers are written in a report."""

import pytest

from runtime.report.cells import (
    DASH,
    Cell,
    as_cell,
    as_table,
    decimals,
    markdown_table,
    p_value,
    percent,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text", "sorts_by"),
    [
        (0.5, "0.5000", 0.5),
        (1234.5, "1,234.5000", 1234.5),
        (-0.25, "-0.2500", -0.25),
        (NAN, DASH, None),
        (None, DASH, None),
        (float("inf"), "+∞", float("inf")),
        (1502, "1,502", 1502.0),
        ("train", "train", None),
        (True, "True", None),
    ],
)
def test_a_value_is_written_the_way_its_kind_is_read(
    value: object, text: str, sorts_by: float | None
) -> None:
    cell = as_cell(value)
    assert (str(cell), cell.value) == (text, sorts_by)


def test_other_ways_to_write_a_number() -> None:
    assert str(decimals(2.0 / 3.0, 2)) == "0.67"
    assert str(percent(0.0365)) == "3.65 %"
    assert str(percent(1.0, 0)) == "100 %"
    assert [str(p_value(p)) for p in (0.0009, 0.001, 0.0288)] == ["< 0.001", "0.001", "0.029"]
    assert str(p_value(1.0)) == "1.000"
    for write in (decimals, percent, p_value):
        assert write(None) == write(NAN) == Cell(DASH)


def test_a_small_p_still_sorts_by_its_value() -> None:
    assert p_value(1e-9).value == 1e-9


def test_a_column_is_of_numbers_where_all_its_values_are_or_are_missing() -> None:
    table = as_table(("a", "b", "c"), [("x", 1, None), (2, NAN, 0.5)])
    assert table.numeric == (False, True, True)


def test_a_row_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 2 values, found 1"):
        as_table(("a", "b"), [(1,)])


def test_a_markdown_table_keeps_its_columns_whatever_the_text() -> None:
    text = markdown_table(("name", "n"), [("a|b\nc", 1200), ("back\\slash", None)])
    assert text.splitlines() == [
        "| name | n |",
        "| --- | --: |",
        "| a\\|b c | 1,200 |",
        "| back\\\\slash | \N{EN DASH} |",
    ]
