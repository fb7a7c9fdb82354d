"""The leak audit of a data set as a page, and as a part of another page."""

import numpy as np

from runtime.data.audit import AuditSummary, LinkedPair
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.report.cells import decimals, percent, short_name
from runtime.report.page import picture_uri, render

_SIDE = 200
_GAP = 4
_KINDS = {
    "strongest": ("The most alike", "those with the highest correlation"),
    "weakest": (
        "The least alike that are linked by their looks",
        "those at the limit of the correlation: were they no pairs, the limit would be too low",
    ),
    "slices": (
        "Near slices that look less alike",
        "those at the limit for neighboring numbers; a link too many only makes a group larger",
    ),
}


def audit_page(dataset: Dataset, summary: AuditSummary) -> str:
    """Return the page of an audit. Raises ImageError where an image of a pair cannot be read."""
    context = {"data_name": dataset.name, **audit_context(dataset, summary)}
    return render("audit_page.html", context)


def audit_context(
    dataset: Dataset, summary: AuditSummary, *, level: int = 2, prefix: str = ""
) -> dict[str, object]:
    """Return what the template `audit.html` needs, under the one name `audit`.

    Args:
        level: of the part's headings, 2 for <h2>.
        prefix: put before the ids of its sections.

    Raises:
        ImageError: an image of a pair cannot be read.
    """
    kinds = []
    for kind, (title, what) in _KINDS.items():
        cards = [_card(dataset, pair) for pair in summary.pairs if pair.kind == kind]
        kinds.append({"id": kind, "title": title, "what": what, "cards": cards})
    return {
        "audit": {
            "of": summary,
            "level": level,
            "prefix": prefix,
            "exposures": exposure_table(summary),
            "kinds": kinds,
        }
    }


def exposure_table(summary: AuditSummary) -> tuple[tuple[str, ...], list[list[object]]]:
    """Return header and rows: how much of each split is known from another."""
    header = ("images of", "known from", "images", "linked", "linked, share", "in a common group",
              "next slice is there")  # fmt: skip
    rows: list[list[object]] = [
        [e.split, e.other, e.images, e.linked, percent(e.linked / e.images, 1), e.grouped,
         e.next_slices]
        for e in summary.exposures
    ]  # fmt: skip
    return header, rows


def _card(dataset: Dataset, pair: LinkedPair) -> dict[str, object]:
    places = ((pair.split, pair.file), (pair.other_split, pair.other_file))
    scans = []
    for split, file in places:
        (sample,) = (s for s in dataset.splits[split].samples if s.file_name == file)
        scans.append(load_scan(sample.path, (_SIDE, _SIDE)).pixels)
    gap = np.full((_SIDE, _GAP, 3), 128, np.uint8)
    numbers: list[tuple[str, object]] = [("correlation", decimals(pair.correlation, 3))]
    if pair.slices_apart is not None:
        numbers.append(("slices apart", pair.slices_apart))
    return {
        "title": " | ".join(split for split, _ in places),
        "note": " | ".join(short_name(file) for _, file in places),
        "scan": picture_uri(np.concatenate([scans[0], gap, scans[1]], axis=1)),
        "numbers": numbers,
    }
