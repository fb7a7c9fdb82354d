"""The tables of the paper's claims, for reports."""

import math
from collections.abc import Sequence

from bench.study.claims.claim import Claim, Measure
from runtime.report.cells import Table


def claims_table(claims: Sequence[Claim]) -> Table:
    """Return a row for each claim: what is found, and whether it agrees."""
    header = ("claim", "the paper says", "metrics", "verdict", "found")
    rows: list[list[object]] = []
    for claim in claims:
        found = "; ".join(f"{m.text} {_value(m)}" for m in claim.measures)
        rows.append([claim.letter, claim.text, _reading(claim), claim.shown, found])
    return header, rows


def measures_table(claims: Sequence[Claim]) -> Table:
    """Return a row for each measure: its limit, its value, that of each training, its verdict.

    A measure decides nothing where its claim cannot be decided.
    """
    header = (
        *("claim", "metrics", "measure", "agrees where", "found", "each training", "verdict"),
    )
    rows: list[list[object]] = []
    for claim in claims:
        for measure in claim.measures:
            limit = f"{'above' if measure.above else 'below'} {measure.limit:g}"
            each = ", ".join(map(_short, measure.by_training)) or "\N{EN DASH}"
            verdict = claim.shown if claim.note else measure.verdict
            rows.append(
                [claim.letter, _reading(claim), measure.text, limit, _value(measure), each, verdict]
            )
    return header, rows


def _reading(claim: Claim) -> str:
    """Return the metrics of a claim in one word, so that a narrow column does not break it."""
    return claim.reading.replace(" ", "\N{NO-BREAK SPACE}") or "\N{EN DASH}"


def _value(measure: Measure) -> str:
    """Return a value with its interval, if it has one that is not the value itself."""
    value = measure.value
    text = _short(value.value)
    if math.isnan(value.low) or value.low == value.high:
        return text
    return f"{text} [{_short(value.low)}, {_short(value.high)}]"


def _short(value: float) -> str:
    """Return a number with three significant figures; a dash where it is undefined.

    Example:
        >>> _short(-0.041237), _short(8.0), _short(1234.5), _short(float("nan"))
        ('-0.0412', '8', '1,230', '\N{EN DASH}')
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{float(f'{value:.3g}'):,g}"
