"""The numbers of an exploration as tables, for a page and for a terminal."""

import math
from collections import Counter
from collections.abc import Callable

from runtime.report.cells import Table
from runtime.report.exploration import Exploration

QUANTITIES = {
    "gray": "mean pixel value",
    "share": "share of the image",
    "aspect": "width / height",
    "center_x": "center, left to right",
    "center_y": "center, top to bottom",
}
"""Names of the compared quantities."""

_FENCED = {"area": "size, pixels", "aspect": "width / height", "gray": "mean pixel value"}


def summary_table(exploration: Exploration) -> Table:
    """Return a row per split: numbers of images and boxes, and averages of each quantity."""
    header = (
        *("split", "images", "without box", "boxes", "mean size, pixels", "median", "25 %", "75 %"),
        *("mean share, %", "median width / height", "mean pixel value", "std"),
    )
    rows: list[tuple[object, ...]] = []
    for split in exploration.splits:
        area, share = split.spreads["area"], split.spreads["share"]
        rows.append(
            (
                *(split.name, split.images, split.unannotated, split.boxes),
                *(_whole(size) for size in (area.mean, area.median, area.q25, area.q75)),
                *(100.0 * share.mean, split.spreads["aspect"].median),
                *(split.pixel_mean, split.pixel_std),
            )
        )
    return header, rows


def tests_table(
    exploration: Exploration,
) -> tuple[tuple[str, ...], list[tuple[str, str, str, int, int, float, float, float]]]:
    """Return a row for each Kolmogorov-Smirnov test."""
    header = ("quantity", "split", "other split", "n", "other n", "D", "p", "p, Holm")
    return header, [
        (
            *(QUANTITIES[test.quantity], test.first, test.second, test.first_n, test.second_n),
            *(test.statistic, test.p_value, test.holm_p_value),
        )
        for test in exploration.tests
    ]


def fences_table(exploration: Exploration) -> Table:
    """Return a row per kind of outlier: its fences, and the number in each split."""
    names = [split.name for split in exploration.splits]
    counts = Counter((outlier.quantity, outlier.split) for outlier in exploration.outliers)
    header = ("kind", "below", "above", *names)
    rows: list[tuple[object, ...]] = [
        ("no annotation", None, None, *(counts["annotation", name] for name in names))
    ]
    for fence in exploration.fences:
        low, high = (
            (_whole(fence.low), _whole(fence.high))
            if fence.quantity == "area"
            else (fence.low, fence.high)
        )
        if not fence.low > 0.0:
            low = None  # nothing can be below it
        number = (counts[fence.quantity, name] for name in names)
        rows.append((_FENCED[fence.quantity], low, high, *number))
    return header, rows


def exploration_text(exploration: Exploration, layout: Callable[..., str]) -> str:
    """Return the tables of an exploration as text, each laid out by `layout(header, rows)`."""
    parts = [
        layout(*summary_table(exploration)),
        *(["\n".join(exploration.notes)] if exploration.notes else []),
        "Outliers, by Tukey's fences over all splits:\n" + layout(*fences_table(exploration)),
    ]
    if exploration.tests:
        parts.append(
            "Kolmogorov-Smirnov tests of the splits, p corrected for their number by Holm:\n"
            + layout(*tests_table(exploration))
        )
    return "\n\n".join(parts)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else round(value)
