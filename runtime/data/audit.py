"""Which images of a data set show nearly the same, and so leak from one split into another.

Nothing in a COCO file says which images are of one patient. Two things tell of it: that two images
look alike, and that their file names carry neighboring slice numbers. Images linked by either
belong to one group, and so does what is linked to them in turn.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError, DataError
from runtime.data.coco import Dataset
from runtime.data.samples import Sample
from runtime.data.similarity import thumbnails

MAX_LINKS = 1_000_000
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class LinkRule:
    """When two images are linked: they look alike, or they are near slices and look similar.

    Attributes:
        correlation: of the 32x32 gray versions of any two images, from which on they are linked.
        slices: how many slice numbers two near slices are apart at most.
        slice_correlation: from which on near slices are linked. Where the numbers pass from one
            head, or one direction of view, to the next, the correlation falls below it.

    Raises:
        ConfigError: a correlation is not in (0, 1], or `slices` is negative.
    """

    correlation: float = 0.97
    slices: int = 2
    slice_correlation: float = 0.8

    def __post_init__(self) -> None:
        for name in ("correlation", "slice_correlation"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(
                    f"{name}: expected a value in (0, 1], found {getattr(self, name)}"
                )
        if self.slices < 0:
            raise ConfigError(f"slices: expected 0 or more, found {self.slices}")


@dataclass(frozen=True, slots=True)
class AuditedImage:
    """An image of the data set.

    Attributes:
        series: what stands before the slice number in the file name.
        slice_number: the last number of the file name; None where it carries none.
        group: number of the image's group, from 0, the largest group first.
    """

    split: str
    sample: Sample
    series: str
    slice_number: int | None
    group: int


@dataclass(frozen=True, slots=True)
class Link:
    """Two linked images, as indices into `Audit.images`.

    Attributes:
        correlation: of their 32x32 gray versions.
        slices_apart: of one series; None where they are of two, or carry no number.
    """

    one: int
    other: int
    correlation: float
    slices_apart: int | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much of a split is known from another one.

    Attributes:
        images: of `split`.
        linked: those with a link into `other`.
        grouped: those whose group has an image in `other`.
        next_slices: those whose slice number is one away from one in `other`, alike or not.
    """

    split: str
    other: str
    images: int
    linked: int
    grouped: int
    next_slices: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of `audit_dataset`: links in descending order of correlation."""

    rule: LinkRule
    images: tuple[AuditedImage, ...]
    links: tuple[Link, ...]
    exposures: tuple[Exposure, ...]

    @property
    def groups(self) -> int:
        """How many groups there are, single images included."""
        return max(image.group for image in self.images) + 1

    def crossing(self) -> tuple[Link, ...]:
        """Return the links between two splits."""
        return tuple(k for k in self.links if self._split(k.one) != self._split(k.other))

    def _split(self, index: int) -> str:
        return self.images[index].split


def audit_dataset(dataset: Dataset, rule: LinkRule | None = None) -> Audit:
    """Find what is alike in a data set, within its splits and across.

    Correlations come from products of matrices, a block of images against all at a time: time grows
    with the square of the number of images (half a second for 10000), memory with the number.

    Raises:
        DataError: an image or a COCO file cannot be read, or there are more than a million links.
    """
    rule = rule or LinkRule()
    found = [(name, s) for name in dataset.splits for s in dataset.split(name).samples]
    numbers = [slice_number(sample.file_name) for _, sample in found]
    units = thumbnails(tuple(sample for _, sample in found))
    alike = _alike(units, rule.correlation, str(dataset.root))
    near = _near_slices(numbers, rule.slices)
    similar = {pair for pair in near if _correlation(units, pair) >= rule.slice_correlation}
    links = [
        Link(one, other, _correlation(units, (one, other)), _apart(numbers[one], numbers[other]))
        for one, other in alike | similar
    ]
    links.sort(key=lambda link: (-link.correlation, link.one, link.other))
    groups = _groups(len(found), alike | similar)
    images = tuple(
        AuditedImage(split, sample, *number, group)
        for (split, sample), number, group in zip(found, numbers, groups, strict=True)
    )
    return Audit(rule, images, tuple(links), tuple(_exposures(images, links)))


def slice_number(file_name: str) -> tuple[str, int | None]:
    """Split a file name into its series and the number of the slice in it.

    The number is the last one of the name, what Roboflow appends left aside:
    "2369_jpg.rf.8b8afa9d.jpg" is slice 2369 of "", "person01_slice3.png" slice 3 of
    "person01_slice". The folder of a split is no part of a series.
    """
    stem = re.sub(r"_[A-Za-z]+\.rf\.[0-9A-Za-z]+$", "", file_name.rpartition(".")[0] or file_name)
    stem = re.sub(r"^(images/)?(train|valid|val|test)/", "", stem)
    match = re.fullmatch(r"(.*?)(\d{1,9})\D*", stem, re.DOTALL)
    return (match[1], int(match[2])) if match else (stem, None)


def _correlation(units: NDArray[np.float32], pair: tuple[int, int]) -> float:
    return float(np.dot(units[pair[0]], units[pair[1]]))


def _apart(one: tuple[str, int | None], other: tuple[str, int | None]) -> int | None:
    if one[1] is None or other[1] is None or one[0] != other[0]:
        return None
    return abs(one[1] - other[1])


def _alike(units: NDArray[np.float32], limit: float, where: str) -> set[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(units), _BLOCK):
        # Only what comes after the block's own diagonal, so that a pair is met once.
        products = units[start : start + _BLOCK] @ units[start:].T
        rows, columns = np.nonzero(np.triu(products >= limit, k=1))
        if len(pairs) + len(rows) > MAX_LINKS:
            raise DataError(
                f"{where}: expected at most {MAX_LINKS} pairs of images that correlate by {limit} "
                "or more, found more; give a higher --correlation"
            )
        pairs.update(zip((rows + start).tolist(), (columns + start).tolist(), strict=True))
    return pairs


def _near_slices(numbers: list[tuple[str, int | None]], apart: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of one series whose numbers are 0 to `apart` apart."""
    numbered = sorted((s, n, index) for index, (s, n) in enumerate(numbers) if n is not None)
    for _, series in groupby(numbered, key=lambda entry: entry[0]):
        entries = list(series)
        for position, (_, number, index) in enumerate(entries):
            for _, later, other in entries[position + 1 :]:
                if later - number > apart:
                    break
                yield min(index, other), max(index, other)


def _groups(count: int, pairs: set[tuple[int, int]]) -> list[int]:
    """Number the connected groups, by falling size, then by their first image (union-find)."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    roots = np.array([root(index) for index in range(count)])
    sizes = np.bincount(roots, minlength=count)
    order = sorted(set(roots.tolist()), key=lambda r: (-sizes[r], r))
    number = {r: position for position, r in enumerate(order)}
    return [number[r] for r in roots.tolist()]


def _exposures(images: tuple[AuditedImage, ...], links: list[Link]) -> Iterator[Exposure]:
    splits = list(dict.fromkeys(image.split for image in images))
    linked = {(link.one, images[link.other].split) for link in links}
    linked |= {(link.other, images[link.one].split) for link in links}
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
                next_slices=sum(
                    image.slice_number is not None
                    and not slices.isdisjoint(
                        {(image.series, image.slice_number + step) for step in (-1, 1)}
                    )
                    for _, image in members
                ),
            )
