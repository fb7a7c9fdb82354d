"""The audit of similar images as a page, and as a part of another page."""

import numpy as np

from runtime.data.audit import AuditSummary, LinkedPair
from runtime.data.coco import Dataset
from runtime.data.thumbnails import ORIENTATIONS
from runtime.report.cells import Table, decimals, percent, short_name
from runtime.report.layers import display_window
from runtime.report.page import picture_uri, render

_SIDE = 200
_GAP = 4
_KINDS = {
    "strongest": ("The most similar", "those with the highest correlation"),
    "weakest": (
        "The least similar that are linked by their looks",
        "those at the limit of the correlation; if they are not alike, the limit is too low",
    ),
    "slices": (
        "The least similar with near numbers",
        "those at the limit for near numbers; a wrong link only makes a group larger",
    ),
    "names": (
        "The least similar that are linked by name",
        "their names or COCO entries state the same source or patient, however they look",
    ),
}


def audit_page(dataset: Dataset, summary: AuditSummary) -> str:
    """Return the page of an audit. Raises ImageError if an image cannot be read."""
    context = {"data_name": dataset.name, **audit_context(dataset, summary)}
    return render("audit_page.html", context)


def audit_context(
    dataset: Dataset, summary: AuditSummary, *, level: int = 2, prefix: str = ""
) -> dict[str, object]:
    """Return the context of the template `audit.html`, all under the name `audit`.

    Args:
        level: of the headings, 2 for <h2>.
        prefix: of the ids of the sections.

    Raises:
        ImageError: an image of a pair cannot be read.
    """
    kinds = []
    within = " within a split" if not summary.crossing else ""
    for kind, (title, what) in _KINDS.items():
        cards = [_card(dataset, pair) for pair in summary.pairs if pair.kind == kind]
        kinds.append({"id": kind, "title": title + within, "what": what, "cards": cards})
    return {
        "audit": {
            "of": summary,
            "level": level,
            "prefix": prefix,
            "exposures": exposure_table(summary),
            "kinds": kinds,
        }
    }


def exposure_table(summary: AuditSummary) -> Table:
    """Return a header and rows: the images of each split that are similar to those of another."""
    header = (
        *("images of", "similar to", "images", "linked", "linked, share"),
        *("in a shared group", "consecutive number in the other split"),
    )
    rows: list[list[object]] = [
        [
            *(e.split, e.other, e.images, e.linked, percent(e.linked / e.images, 1)),
            *(e.grouped, e.next_slices),
        ]
        for e in summary.exposures
    ]
    return header, rows


def _card(dataset: Dataset, pair: LinkedPair) -> dict[str, object]:
    places = ((pair.split, pair.file), (pair.other_split, pair.other_file))
    scans = []
    for split, file in places:
        (sample,) = (s for s in dataset.splits[split].samples if s.file_name == file)
        scans.append(display_window(sample.load((_SIDE, _SIDE)).pixels))
    gap = np.full((_SIDE, _GAP, 3), 128, np.uint8)
    numbers: list[tuple[str, object]] = [("correlation", decimals(pair.correlation, 3))]
    if pair.slices_apart is not None:
        numbers.append(("apart by number", pair.slices_apart))
    if pair.orientation != ORIENTATIONS[0]:
        numbers.append(("the first one", pair.orientation))
    return {
        "title": " | ".join(split for split, _ in places),
        "note": " | ".join(short_name(file) for _, file in places),
        "scan": picture_uri(np.concatenate([scans[0], gap, scans[1]], axis=1)),
        "numbers": numbers,
    }
