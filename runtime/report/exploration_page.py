"""The exploration of a data set as a page, and as a part of another page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.core.settings import MaskKind
from runtime.data.coco import Dataset
from runtime.data.samples import Sample
from runtime.model.overlay import TARGET
from runtime.report.cells import p_value
from runtime.report.exploration import Exploration
from runtime.report.exploration_figures import exploration_figures
from runtime.report.exploration_tables import (
    fences_table,
    summary_table,
    tests_table,
)
from runtime.report.layers import boxes_svg, css_color, display_window, mask_layer
from runtime.report.outliers import Outlier
from runtime.report.page import figure_uri, picture_uri, render, svg_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 12
"""Largest number of cards for each kind of outlier, and of random samples of each split."""
_SEED = 0

_PICTURE = 320


def exploration_html(dataset: Dataset, exploration: Exploration) -> str:
    """Return the page of a data set. Raises ImageError if an outlier cannot be read."""
    return render("exploration_page.html", exploration_context(dataset, exploration))


def exploration_context(
    dataset: Dataset,
    exploration: Exploration,
    *,
    level: int = 2,
    prefix: str = "",
    figures: "Mapping[str, Figure] | None" = None,
) -> dict[str, object]:
    """Return the context of the template `exploration.html`, all under the name `exploration`.

    Another page may include that template in one of its sections.

    Args:
        level: of the headings, 2 for <h2>.
        prefix: of the ids of the sections.
        figures: those of the exploration, where they are drawn already.

    Raises:
        ImageError: an outlier's image cannot be read.
    """
    if figures is None:
        figures = exploration_figures(exploration)
    cards = _cards(dataset, exploration)
    return {
        "exploration": {
            "of": exploration,
            "level": level,
            "prefix": prefix,
            "license": dataset.license,
            "summary": summary_table(exploration),
            "tests": formatted_tests(exploration),
            "rejected": sum(test.holm_p_value < 0.05 for test in exploration.tests),
            "fences": fences_table(exploration),
            "figures": {name: figure_uri(figure) for name, figure in figures.items()},
            "cards": cards,
            "samples": _random_samples(dataset, exploration.masks),
            "outlying_images": len({(o.split, o.file_name) for o in exploration.outliers}),
            "shown": SHOWN,
            "box_color": css_color(TARGET),
        }
    }


def formatted_tests(exploration: Exploration) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Return the table of the tests with formatted p-values."""
    header, rows = tests_table(exploration)
    return header, [(*row[:-2], p_value(row[-2]), p_value(row[-1])) for row in rows]


def _cards(dataset: Dataset, exploration: Exploration) -> list[dict[str, object]]:
    """Return a card for each shown image, with all reasons why it is an outlier."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for outlier in exploration.outliers:
        reasons.setdefault((outlier.split, outlier.file_name), []).append(outlier.reason)
    samples = {
        (split.name, sample.file_name): sample
        for split in dataset.splits.values()
        for sample in split.samples
    }
    shown = dict.fromkeys((o.split, o.file_name) for o in _first_of_each(exploration.outliers))
    return [
        {
            "title": file_name,
            "note": "; ".join(reasons[split, file_name]),
            "numbers": [("split", split), ("boxes", len(samples[split, file_name].annotations))],
            **_pictures(samples[split, file_name]),
        }
        for split, file_name in shown
    ]


def _random_samples(dataset: Dataset, masks: MaskKind) -> list[dict[str, object]]:
    """Return cards of images that were drawn at random, the same ones each time."""
    rng = np.random.default_rng(_SEED)
    cards: list[dict[str, object]] = []
    for split in dataset.splits.values():
        count = min(len(split.samples), max(1, SHOWN // len(dataset.splits)))
        for index in sorted(rng.choice(len(split.samples), count, replace=False).tolist()):
            sample = split.only(dataset.categories).samples[index]
            cards.append(
                {
                    "title": sample.file_name,
                    "numbers": _facts(split.name, sample),
                    **_masked(sample, masks),
                }
            )
    return cards


def _facts(split: str, sample: Sample) -> list[tuple[str, object]]:
    categories = sorted({a.category or "unknown" for a in sample.annotations})
    facts: list[tuple[str, object]] = [("split", split), ("annotations", len(sample.annotations))]
    return [*facts, ("category", ", ".join(categories))] if categories else facts


def _first_of_each(outliers: Iterable[Outlier]) -> list[Outlier]:
    counts: dict[str, int] = {}
    found = []
    for outlier in outliers:
        counts[outlier.quantity] = counts.get(outlier.quantity, 0) + 1
        if counts[outlier.quantity] <= SHOWN:
            found.append(outlier)
    return found


def _pictures(sample: Sample) -> dict[str, str]:
    original = (sample.height, sample.width)
    height, width = (max(1, round(side * _PICTURE / max(original))) for side in original)
    boxes = boxes_svg((a.box for a in sample.annotations), original)
    pixels = display_window(sample.load((height, width)).pixels)
    return {"scan": picture_uri(pixels), "mask": svg_uri(boxes)}


def _masked(sample: Sample, masks: MaskKind) -> dict[str, str]:
    """Return the pictures of a sample and of the outline of its mask."""
    original = (sample.height, sample.width)
    size = tuple(max(1, round(side * _PICTURE / max(original))) for side in original)
    pixels = display_window(sample.load((size[0], size[1])).pixels)
    outline = mask_layer(sample.mask((size[0], size[1]), masks))
    return {"scan": picture_uri(pixels), "mask": picture_uri(outline)}
