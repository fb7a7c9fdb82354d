"""An audit in figures, with pairs of images to judge its rule by."""

from dataclasses import dataclass
from typing import Literal

from runtime.data.audit import Audit, AuditedImage, Exposure, Link, LinkRule

PairKind = Literal["strongest", "weakest", "slices"]


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """A link between two splits, to be looked at.

    Attributes:
        kind: "strongest", "weakest" (of those that are linked by their looks alone), or "slices"
            (the weakest of those that are near slices and would not be linked by their looks).
    """

    kind: PairKind
    split: str
    file: str
    other_split: str
    other_file: str
    correlation: float
    slices_apart: int | None


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """An audit's figures, and pairs to judge its rule by.

    Attributes:
        images, groups, links: how many there are; a single image is a group too.
        crossing: links between two splits.
        largest: images of the largest group.
    """

    rule: LinkRule
    images: int
    groups: int
    links: int
    crossing: int
    largest: int
    exposures: tuple[Exposure, ...]
    pairs: tuple[LinkedPair, ...]


def summarize(audit: Audit, *, pairs: int = 8) -> AuditSummary:
    """Return an audit's figures, with up to so many pairs of each kind."""
    crossing = audit.crossing()
    alike = [link for link in crossing if link.correlation >= audit.rule.correlation]
    near = [link for link in crossing if link.correlation < audit.rule.correlation]
    chosen: dict[PairKind, list[Link]] = {
        "strongest": alike[:pairs],
        "weakest": alike[pairs:][-pairs:],
        "slices": near[-pairs:],
    }
    return AuditSummary(
        rule=audit.rule,
        images=len(audit.images),
        groups=audit.groups,
        links=len(audit.links),
        crossing=len(crossing),
        largest=sum(image.group == 0 for image in audit.images),
        exposures=audit.exposures,
        pairs=tuple(
            _pair(kind, audit.images[link.one], audit.images[link.other], link)
            for kind, links in chosen.items()
            for link in links
        ),
    )


def _pair(kind: PairKind, one: AuditedImage, other: AuditedImage, link: Link) -> LinkedPair:
    names = one.split, one.sample.file_name, other.split, other.sample.file_name
    return LinkedPair(kind, *names, link.correlation, link.slices_apart)
