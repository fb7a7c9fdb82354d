"""Cells and tables of reports: the text of a value, and the number that a table sorts by."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

DASH = "\N{EN DASH}"

Table = tuple[Sequence[str], Sequence[Sequence[object]]]
"""A header and rows of values, for `as_table`, `markdown_table` and `runtime.cli.display.table`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: as displayed.
        value: the number to sort by; None for a missing number, which is sorted last.
        numeric: whether the cell belongs to a column of numbers.
    """

    text: str
    value: float | None = None
    numeric: bool = True

    def __str__(self) -> str:
        return self.text


def decimals(value: float | None, digits: int = 4) -> Cell:
    """Return a number with `digits` decimals; None and NaN become a dash.

    Example:
        >>> str(decimals(1234.5, 2)), str(decimals(None)) == DASH
        ('1,234.50', True)
    """
    if value is None or math.isnan(value):
        return Cell(DASH)
    text = f"{value:,.{digits}f}" if math.isfinite(value) else f"{value:+}".replace("inf", "∞")
    return Cell(text, float(value))


def gmacs(macs: float | None) -> Cell:
    """Return multiply-accumulates in billions, with two decimals, or three digits below 0.1.

    Example:
        >>> str(gmacs(48.2e9)), str(gmacs(3.05e6))
        ('48.20', '0.00305')
    """
    if macs is None or not 0 < macs < 1e8:
        return decimals(None if macs is None else macs / 1e9, 2)
    return decimals(macs / 1e9, 2 - math.floor(math.log10(macs / 1e9)))


def percent(value: float | None, digits: int = 2) -> Cell:
    """Return a share of 1 as a percentage.

    Example:
        >>> str(percent(0.125, 1))
        '12.5 %'
    """
    if value is None or math.isnan(value):
        return Cell(DASH)
    return Cell(f"{100.0 * value:.{digits}f} %", float(value))


def p_value(value: float | None) -> Cell:
    """Return a p-value with three decimals, or as "< 0.001".

    Example:
        >>> str(p_value(0.0004)), str(p_value(0.25))
        ('< 0.001', '0.250')
    """
    if value is None or math.isnan(value):
        return Cell(DASH)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", float(value))


def as_cell(value: object) -> Cell:
    """Return any value as a cell: floats with four decimals, integers with thousands separators.

    Example:
        >>> str(as_cell(0.5)), str(as_cell(1234567)), str(as_cell("a.onnx"))
        ('0.5000', '1,234,567', 'a.onnx')
    """
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
    """Return an image's name without its folder and without Roboflow's suffix.

    Example:
        >>> short_name("train/12_jpg.rf.0a1b2c.jpg")
        '12'
    """
    return re.sub(r"_[A-Za-z]+\.rf\.[0-9A-Za-z]+\.\w+$", "", file_name.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class CellTable:
    """A table of cells.

    Attributes:
        header: a label per column.
        numeric: whether a column holds numbers, per column.
        rows: as long as the header.
    """

    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def as_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> CellTable:
    """Return rows of values as a table of cells.

    Raises:
        ValueError: a row has more or fewer values than the header.
    """
    cells = tuple(tuple(as_cell(value) for value in row) for row in rows)
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"row: expected {len(header)} values, found {len(row)}")
    numeric = tuple(all(row[i].numeric for row in cells) for i in range(len(header)))
    return CellTable(tuple(header), numeric, cells)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows of values as a table in GitHub Markdown, formatted by `as_cell`.

    Example:
        >>> print(markdown_table(("network", "IoU"), [("a.onnx", 0.75)]))
        | network | IoU |
        | --- | --: |
        | a.onnx | 0.7500 |
    """
    table = as_table(header, rows)

    def line(values: Sequence[object]) -> str:
        texts = (" ".join(str(v).split()).replace("\\", "\\\\").replace("|", "\\|") for v in values)
        return "| " + " | ".join(texts) + " |"

    rule = ["--:" if is_number else "---" for is_number in table.numeric]
    return "\n".join([line(table.header), line(rule), *(line(row) for row in table.rows)])
