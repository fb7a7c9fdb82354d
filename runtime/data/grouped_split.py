"""New splits of a data set in which no group of linked images lies in two splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError, DataError
from runtime.core.progress import counted
from runtime.data.audit import Audit, AuditedImage
from runtime.data.coco import Dataset

STRATA = 5
"""Number of classes of object size that are balanced, each with equally many images."""
SHARED_SPLITS = ("train", "valid", "test")
"""The splits that `split_by_group` makes from shares."""

Counts = NDArray[np.intp]
Amounts = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class GroupedSplit:
    """A new assignment of an audit's images to splits.

    Attributes:
        assigned: the new split of each image, in the order of the audit's images.
        wanted: the number of images that each split should have.
    """

    audit: Audit
    seed: int
    assigned: tuple[str, ...]
    wanted: Mapping[str, int]

    def sizes(self) -> dict[str, int]:
        """Return the number of images in each split."""
        return {name: self.assigned.count(name) for name in self.wanted}

    def areas(self) -> dict[str, float]:
        """Return each split's mean area of an image's boxes, as a fraction of the image."""
        shares = _box_areas(self.audit.images)
        owners = np.array(self.assigned)
        return {name: float(shares[owners == name].mean()) for name in self.wanted}


def read_shares(text: str) -> dict[str, float]:
    """Return the shares of train, valid and test, from three percentages such as "70/15/15".

    Raises:
        ConfigError: they are not three positive numbers whose sum is 100.

    Example:
        >>> read_shares("70/15/15")
        {'train': 0.7, 'valid': 0.15, 'test': 0.15}
    """
    try:
        percentages = [float(part) for part in text.split("/")]
    except ValueError:
        percentages = []
    if len(percentages) != 3 or not min(percentages) > 0 or not abs(sum(percentages) - 100) <= 1e-6:
        raise ConfigError(
            "shares: expected percentages of train, valid and test whose sum is 100, such as "
            f"70/15/15, found {text!r}"
        )
    return dict(zip(SHARED_SPLITS, (share / 100 for share in percentages), strict=True))


def split_by_group(
    dataset: Dataset, audit: Audit, *, seed: int = 0, shares: Mapping[str, float] | None = None
) -> GroupedSplit:
    """Assign whole groups of images to splits, with the wanted sizes as far as groups allow.

    Sizes come first. Groups are assigned from the largest to the smallest; `seed` shuffles groups
    of equal size. Of the splits with room for a group, the one that lacks its images most gets it.
    That need is counted per class of object size, so that the splits also keep their distributions
    of object sizes. At the end, groups are moved or exchanged as long as sizes come closer.

    Args:
        audit: the result of `audit_dataset` for this data set.
        shares: the new splits and their shares of the images, as `read_shares` returns them. By
            default, the present splits and their sizes.

    Raises:
        DataError: there is only one split and no `shares`, or there are fewer groups than splits.
    """
    strata = _strata(audit.images)
    names, wanted = _wanted(dataset, audit, strata, shares)
    if audit.groups < len(names):
        raise DataError(
            f"{dataset.root}: {len(names)} splits cannot be filled, because the "
            f"{len(audit.images)} images form only {counted(audit.groups, 'group')} "
            "of similar images"
        )
    content = _counts(np.array([image.group for image in audit.images]), strata, audit.groups)
    targets = _whole(wanted.sum(axis=1))
    # A class that a split lacks counts as one image, or a division would be by zero.
    assignment = _Assignment(content, np.maximum(wanted, 1).astype(np.float64), targets)
    shuffled = np.random.default_rng(seed).permutation(audit.groups)
    assignment.place(shuffled[np.argsort(-assignment.sizes[shuffled], kind="stable")])
    assignment.fill_empty()
    while assignment.improve():
        pass
    assigned = tuple(names[assignment.chosen[image.group]] for image in audit.images)
    return GroupedSplit(audit, seed, assigned, dict(zip(names, targets.tolist(), strict=True)))


def _wanted(
    dataset: Dataset, audit: Audit, strata: Counts, shares: Mapping[str, float] | None
) -> tuple[list[str], Amounts]:
    """Return the names of the new splits, and how many images of each class each should have."""
    if shares is not None:
        total = np.bincount(strata, minlength=STRATA)
        return list(shares), np.outer(list(shares.values()), total)
    names = list(dataset.splits)
    if len(names) < 2:
        raise DataError(
            f"{dataset.root}: this set has one split, {names[0]!r}; give --shares 70/15/15"
        )
    owners = np.array([names.index(image.split) for image in audit.images])
    return names, _counts(owners, strata, len(names)).astype(np.float64)


def _whole(sizes: Amounts) -> Counts:
    """Return whole numbers with the same sum: those with the largest remainders are rounded up."""
    whole: Counts = np.floor(sizes + 1e-9).astype(np.intp)
    remaining = round(float(sizes.sum())) - int(whole.sum())
    whole[np.argsort(whole - sizes, kind="stable")[:remaining]] += 1
    return whole


def _box_areas(images: tuple[AuditedImage, ...]) -> Amounts:
    return np.array(
        [
            sum(a.box[2] * a.box[3] for a in image.sample.annotations)
            / (image.sample.width * image.sample.height)
            for image in images
        ]
    )


def _strata(images: tuple[AuditedImage, ...]) -> Counts:
    """Return each image's class of the area of its boxes: 0 to STRATA - 1."""
    shares = _box_areas(images)
    edges = np.quantile(shares, np.linspace(0, 1, STRATA + 1)[1:-1])
    classes: Counts = np.searchsorted(edges, shares, side="right")
    return classes


def _counts(rows: Counts, strata: Counts, number: int) -> Counts:
    joint = np.bincount(rows * STRATA + strata, minlength=number * STRATA)
    return joint.reshape(number, STRATA)


class _Assignment:
    """The split of each group, while groups are placed and exchanged.

    Args:
        content: number of images of each group and class, [groups, STRATA].
        wanted: number of images of each split and class, [splits, STRATA], none of them 0.
        targets: number of images of each split.
    """

    def __init__(self, content: Counts, wanted: Amounts, targets: Counts) -> None:
        self.content = content
        self.wanted = wanted
        self.sizes = content.sum(axis=1)
        self.room = targets.copy()
        self.missing = wanted.copy()
        self.chosen = np.full(len(content), -1, np.intp)

    def put(self, group: int, split: int) -> None:
        """Assign a group to a split, instead of its former one."""
        former = self.chosen[group]
        if former >= 0:
            self.room[former] += self.sizes[group]
            self.missing[former] += self.content[group]
        self.room[split] -= self.sizes[group]
        self.missing[split] -= self.content[group]
        self.chosen[group] = split

    def place(self, order: Counts) -> None:
        """Assign the groups in an order, each to the split that lacks its images most."""
        for group in order:
            fits = self.room >= self.sizes[group]
            need = (self.missing / self.wanted) @ self.content[group]
            self.put(
                group, int(np.argmax(np.where(fits, need, -np.inf) if any(fits) else self.room))
            )

    def fill_empty(self) -> None:
        """Give each split that has no group a small group of the split that has the most."""
        numbers = np.bincount(self.chosen, minlength=len(self.room))
        for split in np.flatnonzero(numbers == 0):
            owners = np.flatnonzero(self.chosen == np.argmax(numbers))
            self.put(int(owners[np.argmin(self.sizes[owners])]), int(split))
            numbers = np.bincount(self.chosen, minlength=len(self.room))

    def improve(self) -> bool:
        """Make the move or exchange that brings sizes closest to their targets, if one does."""
        room = self.room.tolist()
        best = (0, 0, 0, 0, 0, 0)
        for source, target in product(range(len(room)), repeat=2):
            if room[source] >= 0 or room[target] <= 0:
                continue
            here, there = self._sizes_in(source), self._sizes_in(target)
            alone = np.count_nonzero(self.chosen == source) == 1
            for leaves, comes in product(here, there if alone else [0, *there]):
                net = leaves - comes
                after = abs(room[source] + net) + abs(room[target] - net)
                gain = room[target] - room[source] - after
                if gain > 0 and (gain, -leaves - comes) > best[:2]:
                    best = (gain, -leaves - comes, source, target, leaves, comes)
        gain, _, source, target, leaves, comes = best
        if gain > 0:
            moved = self._suited(source, target, leaves)
            if comes > 0:
                self.put(self._suited(target, source, comes), source)
            self.put(moved, target)
        return gain > 0

    def _sizes_in(self, split: int) -> list[int]:
        sizes: list[int] = np.unique(self.sizes[self.chosen == split]).tolist()
        return sizes

    def _suited(self, source: int, target: int, size: int) -> int:
        """Return the group of a size whose move keeps the classes of object size best."""
        groups = np.flatnonzero((self.chosen == source) & (self.sizes == size))
        content = self.content[groups]
        left = np.abs(self.missing[source] + content).sum(axis=1)
        left += np.abs(self.missing[target] - content).sum(axis=1)
        return int(groups[np.argmin(left)])
