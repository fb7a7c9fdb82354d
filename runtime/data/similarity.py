"""Finding images that belong together, and the groups that they form.

COCO files rarely say which images belong to one patient. Two images are linked where

* their names say that they are copies of one source, as Roboflow's do,
* their names or their COCO entries state the same patient,
* they look alike, in one of the eight orientations of a square, or
* their file names carry neighboring slice numbers and they look similar as stored.

Two images whose COCO entries state different patients are not linked by the last two rules: what is
known takes the place of a guess.

A group holds all images that a chain of links connects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import DataError
from runtime.data.configs import LinkRule as LinkRule
from runtime.data.image_names import slice_number, source_name
from runtime.data.samples import Sample
from runtime.data.thumbnails import ORIENTATIONS, orders, thumbnails

MAX_LINKS = 1_000_000
_BLOCK = 1024
Pair = tuple[int, int]
Reason = Literal["source", "patient", "look", "slices"]


@dataclass(frozen=True, slots=True)
class Link:
    """Two linked images.

    Attributes:
        first, second: their positions in the sequence of images, `first` being the lower.
        correlation: of their 32x32 gray versions, in [-1, 1].
        slices_apart: distance of their slice numbers; None where they belong to different series
            or have no number.
        reason: the first that applies of "source" and "patient" (by name), "look" and "slices".
        orientation: the one of the first image in which the two correlate so.
    """

    first: int
    second: int
    correlation: float
    slices_apart: int | None
    reason: Reason = "look"
    orientation: str = ORIENTATIONS[0]

    @property
    def by_name(self) -> bool:
        """True where names or COCO entries link the images, however they look."""
        return self.reason in ("source", "patient")


def find_links(
    samples: Sequence[Sample], splits: Sequence[str], rule: LinkRule, *, where: str
) -> tuple[Link, ...]:
    """Return the linked pairs of images, the most similar first.

    Of the images with one source or patient, each is linked to the first one of each split.

    Correlations are products of matrices, a block of images against another at a time. Time grows
    with the square of the number of images: 1 s for 2000 on two cores, besides the time to decode
    them. Memory grows linearly, by 4 kB for each image.

    Args:
        splits: the split of each image.
        where: name of the data set, for messages.

    Raises:
        ImageError: an image cannot be read.
        DataError: there are more than a million links.
    """
    units = thumbnails(samples)
    numbers = [slice_number(sample.file_name) for sample in samples]
    reasons = _reasons_by_name(samples, splits)
    stated = _numbers([sample.patient for sample in samples])
    for pair in _alike(units, rule.correlation, where, stated):
        reasons.setdefault(pair, "look")
    near = [
        (first, second)
        for first, second in _near_slices(numbers, rule.slices)
        if (first, second) not in reasons and not _differ(stated[first], stated[second])
    ]
    stored, _ = _correlations(units, near, orders()[:1])
    links = [
        Link(*pair, value, _distance(numbers[pair[0]], numbers[pair[1]]), "slices")
        for pair, value in zip(near, stored.tolist(), strict=True)
        if value >= rule.slice_correlation
    ]
    best, chosen = _correlations(units, list(reasons), orders())
    for (pair, reason), value, k in zip(
        reasons.items(), best.tolist(), chosen.tolist(), strict=True
    ):
        apart = _distance(numbers[pair[0]], numbers[pair[1]])
        links.append(Link(*pair, value, apart, reason, ORIENTATIONS[k]))
    return tuple(sorted(links, key=lambda link: (-link.correlation, link.first, link.second)))


def _reasons_by_name(samples: Sequence[Sample], splits: Sequence[str]) -> dict[Pair, Reason]:
    """Return why pairs belong together by names and COCO entries, however they look."""
    sources = [source_name(sample.file_name) for sample in samples]
    patients = [sample.patient for sample in samples]
    reasons: dict[Pair, Reason] = dict.fromkeys(_same(sources, splits), "source")
    for pair in _same(patients, splits):
        reasons.setdefault(pair, "patient")
    return reasons


def connected_groups(count: int, links: Sequence[Link]) -> list[int]:
    """Return the group number of each of `count` images, by union-find over the links.

    Groups are numbered from 0 by falling size; groups of equal size by their first image.

    Example:
        >>> connected_groups(5, [Link(1, 3, 0.98, None), Link(3, 4, 0.99, 1)])
        [1, 0, 2, 0, 0]
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for link in links:
        low, high = sorted((root(link.first), root(link.second)))
        parent[high] = low
    roots = np.array([root(index) for index in range(count)])
    sizes = np.bincount(roots, minlength=count)
    by_size = sorted(set(roots.tolist()), key=lambda r: (-sizes[r], r))
    number = {r: position for position, r in enumerate(by_size)}
    return [number[r] for r in roots.tolist()]


def _correlations(
    units: NDArray[np.float32], pairs: list[Pair], turned: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return each pair's largest correlation over orientations, and the position of that one."""
    best, chosen = np.empty(len(pairs), np.float32), np.empty(len(pairs), np.intp)
    for start in range(0, len(pairs), _BLOCK):
        first, second = np.array(pairs[start : start + _BLOCK]).T
        values = np.stack(
            [np.einsum("ij,ij->i", units[first][:, order], units[second]) for order in turned]
        )
        chosen[start : start + _BLOCK] = values.argmax(axis=0)
        best[start : start + _BLOCK] = values.max(axis=0)
    return best, chosen


def _distance(first: tuple[str, int | None], second: tuple[str, int | None]) -> int | None:
    if first[1] is None or second[1] is None or first[0] != second[0]:
        return None
    return abs(first[1] - second[1])


def _numbers(patients: Sequence[str | None]) -> NDArray[np.intp]:
    """Return a number for each patient, and -1 for none."""
    numbers = {None: -1} | {p: n for n, p in enumerate(dict.fromkeys(patients)) if p is not None}
    return np.array([numbers[patient] for patient in patients], np.intp)


def _differ(first: Any, second: Any) -> Any:
    """Return whether both of two patients' numbers, or of two arrays of them, state others."""
    return (first != second) & (first >= 0) & (second >= 0)


def _same(keys: Sequence[str | None], splits: Sequence[str]) -> Iterator[Pair]:
    """Yield each image that has a key with the first image of that key in each split.

    All pairs of a key would be too many: a patient may have a thousand images.
    """
    first: dict[str, dict[str, int]] = {}
    for index, (key, split) in enumerate(zip(keys, splits, strict=True)):
        if key is not None:
            first.setdefault(key, {}).setdefault(split, index)
    for index, key in enumerate(keys):
        for other in first[key].values() if key is not None else ():
            if other != index:
                yield min(index, other), max(index, other)


def _alike(
    units: NDArray[np.float32], limit: float, where: str, patients: NDArray[np.intp]
) -> set[Pair]:
    """Return the pairs that correlate by `limit` or more in an orientation, the lower index first.

    The set of orientations holds the inverse of each, so turning one image of a pair is enough.
    """
    pairs: set[Pair] = set()
    turned = orders()
    for top in range(0, len(units), _BLOCK):
        block = units[top : top + _BLOCK]
        versions = [np.ascontiguousarray(block[:, order]) for order in turned]
        for left in range(top, len(units), _BLOCK):
            others = units[left : left + _BLOCK].T
            best = versions[0] @ others
            for version in versions[1:]:
                np.maximum(best, version @ others, out=best)
            # On the diagonal only the upper triangle, so that each pair is met once.
            found = np.triu(best >= limit, k=1) if left == top else best >= limit
            owners, other_owners = patients[top : top + _BLOCK], patients[left : left + _BLOCK]
            rows, columns = np.nonzero(found & ~_differ(owners[:, None], other_owners))
            if len(pairs) + len(rows) > MAX_LINKS:
                raise DataError(
                    f"{where}: more than {MAX_LINKS} pairs of images correlate by {limit} or more; "
                    "give a higher --correlation"
                )
            pairs.update(zip((rows + top).tolist(), (columns + left).tolist(), strict=True))
    return pairs


def _near_slices(numbers: list[tuple[str, int | None]], apart: int) -> Iterator[Pair]:
    """Yield the pairs of one series whose numbers differ by at most `apart`."""
    numbered = sorted((s, n, index) for index, (s, n) in enumerate(numbers) if n is not None)
    for _, series in groupby(numbered, key=lambda entry: entry[0]):
        entries = list(series)
        for position, (_, number, index) in enumerate(entries):
            for _, later, other in entries[position + 1 :]:
                if later - number > apart:
                    break
                yield min(index, other), max(index, other)
