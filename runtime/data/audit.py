"""The leak audit: similar images that lie in different splits of a data set."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from runtime.data.coco import Dataset
from runtime.data.image_names import slice_number
from runtime.data.samples import Sample
from runtime.data.similarity import Link, LinkRule, connected_groups, find_links
from runtime.data.thumbnails import ORIENTATIONS

PairKind = Literal["strongest", "weakest", "slices", "names"]


@dataclass(frozen=True, slots=True)
class AuditedImage:
    """An image of the data set and its group.

    Attributes:
        series: the text before the slice number in the file name.
        slice_number: the last number of the file name; None where it has none.
        group: number of the image's group, from 0, the largest group first.
    """

    split: str
    sample: Sample
    series: str
    slice_number: int | None
    group: int


@dataclass(frozen=True, slots=True)
class Exposure:
    """Numbers of images of one split that are linked to another split.

    Attributes:
        images: all images of `split`.
        linked: images with a link into `other`.
        grouped: images whose group has an image in `other`.
        next_slices: images whose number is one away from one of their series in `other`, similar
            or not. Names do not say that their numbers are slices.
    """

    split: str
    other: str
    images: int
    linked: int
    grouped: int
    next_slices: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of `audit_dataset`.

    Attributes:
        links: linked pairs, as positions in `images`, the most similar first.
    """

    rule: LinkRule
    images: tuple[AuditedImage, ...]
    links: tuple[Link, ...]
    exposures: tuple[Exposure, ...]

    @property
    def groups(self) -> int:
        """The number of groups; a single image is a group too."""
        return max(image.group for image in self.images) + 1

    def crossing(self) -> tuple[Link, ...]:
        """Return the links between two splits."""
        splits = [image.split for image in self.images]
        return tuple(link for link in self.links if splits[link.first] != splits[link.second])


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """A link as an example for people to look at: between two splits, or else within one.

    Attributes:
        kind: "strongest"; "weakest" of those linked by their looks alone; "slices", the weakest
            of the near slices that would not be linked by their looks; or "names", the weakest of
            those linked by name, which may look different.
        orientation: the one of the first image in which the two correlate so.
    """

    kind: PairKind
    split: str
    file: str
    other_split: str
    other_file: str
    correlation: float
    slices_apart: int | None
    orientation: str = ORIENTATIONS[0]


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The numbers of an audit, and pairs to judge its rule by.

    Attributes:
        images, groups, links: how many there are; a single image is a group too.
        crossing: number of links between two splits.
        largest: number of images in the largest group.
        crossing_by_name: number of those between two splits whose names or COCO entries state the
            same source or patient.
        patients: number of different patients that names or COCO entries state.
        of_patients: number of images whose patient is stated.
    """

    rule: LinkRule
    images: int
    groups: int
    links: int
    crossing: int
    largest: int
    exposures: tuple[Exposure, ...]
    pairs: tuple[LinkedPair, ...]
    crossing_by_name: int = 0
    patients: int = 0
    of_patients: int = 0

    @property
    def knows_every_patient(self) -> bool:
        """True if the patient of each image is stated, so that others are known to be new."""
        return self.of_patients == self.images

    @property
    def on_patients(self) -> str:
        """A sentence on the patients that are known."""
        if not self.of_patients:
            return (
                "No patient was recognized in file names or COCO entries, so images of one patient "
                "that do not look alike are in different groups."
            )
        if not self.knows_every_patient:
            return (
                f"The patient was recognized for {self.of_patients} of {self.images} images; of "
                "the others, those of one patient may be in different groups."
            )
        return f"The patient of every image was recognized: {self.patients}."


def audit_dataset(dataset: Dataset, rule: LinkRule | None = None) -> Audit:
    """Find images that belong together, within the splits of a data set and across them.

    Raises:
        DataError: an image or a COCO file cannot be read, or there are more than a million links.
    """
    rule = rule or LinkRule()
    members = [(name, sample) for name in dataset.splits for sample in dataset.split(name).samples]
    links = find_links(
        [sample for _, sample in members],
        [split for split, _ in members],
        rule,
        where=str(dataset.root),
    )
    groups = connected_groups(len(members), links)
    images = tuple(
        AuditedImage(split, sample, *slice_number(sample.file_name), group)
        for (split, sample), group in zip(members, groups, strict=True)
    )
    return Audit(rule, images, links, tuple(_exposures(images, links)))


def summarize(audit: Audit, *, pairs: int = 8) -> AuditSummary:
    """Return the numbers of an audit, with up to `pairs` pairs of each kind.

    The pairs are from two splits. Where no link connects two splits, they are within a split.
    """
    crossing = audit.crossing()
    shown = crossing or audit.links
    near = [link for link in shown if link.reason == "slices"]
    named = [link for link in shown if link.by_name]
    alike = [link for link in shown if link.reason == "look"]
    chosen: dict[PairKind, list[Link]] = {
        "strongest": alike[:pairs],
        "weakest": alike[pairs:][-pairs:],
        "slices": near[-pairs:],
        "names": named[-pairs:],
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
            _pair(kind, audit.images[link.first], audit.images[link.second], link)
            for kind, links in chosen.items()
            for link in links
        ),
        crossing_by_name=sum(link.by_name for link in crossing),
        patients=len({image.sample.patient for image in audit.images} - {None}),
        of_patients=sum(image.sample.patient is not None for image in audit.images),
    )


def groups_csv(audit: Audit) -> str:
    """Return the group of every image as CSV: split, file, group."""
    rows = [(image.split, image.sample.file_name, image.group) for image in audit.images]
    return _csv(("split", "file", "group"), rows)


def links_csv(audit: Audit) -> str:
    """Return all links as CSV, the most similar pair first."""
    header = ("split", "file", "other_split", "other_file", "reason", "correlation", "orientation")
    rows = []
    for link in audit.links:
        first, second = audit.images[link.first], audit.images[link.second]
        names = first.split, first.sample.file_name, second.split, second.sample.file_name
        rows.append((*names, link.reason, round(link.correlation, 6), link.orientation))
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _pair(kind: PairKind, first: AuditedImage, second: AuditedImage, link: Link) -> LinkedPair:
    names = first.split, first.sample.file_name, second.split, second.sample.file_name
    return LinkedPair(kind, *names, link.correlation, link.slices_apart, link.orientation)


def _exposures(images: tuple[AuditedImage, ...], links: tuple[Link, ...]) -> Iterator[Exposure]:
    splits = list(dict.fromkeys(image.split for image in images))
    linked = {(link.first, images[link.second].split) for link in links}
    linked |= {(link.second, images[link.first].split) for link in links}
    for split in splits:
        members = [(index, image) for index, image in enumerate(images) if image.split == split]
        for other in splits:
            if other == split:
                continue
            known = [image for image in images if image.split == other]
            groups = {image.group for image in known}
            slices = {(image.series, image.slice_number) for image in known}
            yield Exposure(
                split=split,
                other=other,
                images=len(members),
                linked=sum((index, other) in linked for index, _ in members),
                grouped=sum(image.group in groups for _, image in members),
                next_slices=sum(_has_next_slice(image, slices) for _, image in members),
            )


def _has_next_slice(image: AuditedImage, slices: set[tuple[str, int | None]]) -> bool:
    number = image.slice_number
    return number is not None and any((image.series, number + step) in slices for step in (-1, 1))
