"""How a number is written in a report, and what a table sorts it by."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: the text that is read, and the number that it is sorted by.

    Attributes:
        value: None for a number that is not there; such cells come last in either direction.
        numeric: whether the cell belongs to a column of numbers.
    """

    text: str
    value: float | None = None
    numeric: bool = True

    def __str__(self) -> str:
        return self.text


def decimals(value: float | None, digits: int = 4) -> Cell:
    """Write a number with `digits` decimals; None and NaN as a dash."""
    if value is None or math.isnan(value):
        return Cell(DASH)
    text = f"{value:,.{digits}f}" if math.isfinite(value) else f"{value:+}".replace("inf", "∞")
    return Cell(text, float(value))


def percent(value: float | None, digits: int = 2) -> Cell:
    """Write a share of 1 as a percentage."""
    if value is None or math.isnan(value):
        return Cell(DASH)
    return Cell(f"{100.0 * value:.{digits}f} %", float(value))


def p_value(value: float | None) -> Cell:
    """Write a p-value: three decimals, or "< 0.001"."""
    if value is None or math.isnan(value):
        return Cell(DASH)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", float(value))


def as_cell(value: object) -> Cell:
    """Write any value: a float with four decimals, an int in groups of three, others as text."""
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell(DASH)
    if isinstance(value, int) and not isinstance(value, bool):
        return Cell(f"{value:,}", float(value))
    if isinstance(value, float):
        return decimals(value)
    return Cell(str(value), None, numeric=False)


def short_name(file_name: str) -> str:
    """Return an image's name without its folder and without what Roboflow appends to it."""
    return re.sub(r"_[A-Za-z]+\.rf\.[0-9A-Za-z]+\.\w+$", "", file_name.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is ready to be laid out; `numeric` says of each column if it holds numbers."""

    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def as_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Write every value of a table's rows.

    Raises:
        ValueError: a row has more or fewer values than the header.
    """
    cells = tuple(tuple(as_cell(value) for value in row) for row in rows)
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"row: expected {len(header)} values, found {len(row)}")
    numeric = tuple(all(row[i].numeric for row in cells) for i in range(len(header)))
    return Table(tuple(header), numeric, cells)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the same table as GitHub Markdown; see `as_cell` for how a value is written."""
    table = as_table(header, rows)

    def line(values: Sequence[object]) -> str:
        texts = (" ".join(str(v).split()).replace("\\", "\\\\").replace("|", "\\|") for v in values)
        return "| " + " | ".join(texts) + " |"

    rule = ["--:" if is_number else "---" for is_number in table.numeric]
    return "\n".join([line(table.header), line(rule), *(line(row) for row in table.rows)])
