"""The report that the parts of an evaluation add up to.

The parts may be computed anywhere and in any order. Their sums are those of single images, or
exact, so the report is the same to the bit. Parts are taken one by one and let go. What stays are
the numbers of each image, 48 bytes for each network: medians, intervals and comparisons need them.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from runtime.core.errors import DataError
from runtime.data.orientation import Size
from runtime.data.readable import none_readable
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.calibration import CalibrationSums
from runtime.scoring.comparison import Comparison, compare
from runtime.scoring.evaluation import Evaluation, NetworkSums, conclude
from runtime.scoring.parts import Part
from runtime.scoring.patients import number_groups
from runtime.scoring.results import EvaluationReport, scored_file
from runtime.scoring.sample_table import Columns, SampleTable


def merge(parts: Iterable[tuple[str, Part]]) -> EvaluationReport:
    """Return the report on all images of a split from its parts, in any order.

    Args:
        parts: each with its name, for messages. They are taken one by one.

    Raises:
        DataError: there is no part, some images are in none or in two of them, a part belongs to
            another evaluation, or no image can be read.
    """
    images = _JoinedImages()
    known: list[tuple[str, Part]] = []
    for name, part in parts:
        known.append((name, replace(part, networks=(), baselines=(), groups=())))
        _ensure_alike(*known[0], *known[-1])
        images.add(name, part)
    if not known:
        raise DataError("there are no parts to merge")
    order = sorted(range(len(known)), key=lambda n: (known[n][1].start, known[n][1].stop))
    known = [known[n] for n in order]
    _ensure_complete(known)
    images.sort(order)
    return _report([part for _, part in known], images)


def _report(parts: Sequence[Part], images: "_JoinedImages") -> EvaluationReport:
    """Return the report on images that were joined, whose parts state the rest."""
    heading = next(part.heading for part in parts if part.heading is not None)
    skipped = tuple(image for part in parts for image in part.skipped)
    if not images.files:
        raise none_readable(Path(heading.annotation_file), skipped[0])
    groups = number_groups(images.groups, images.patients)
    evaluations = [conclude(s, heading.clinical, heading.unit, groups) for s in images.sums()]
    networks = evaluations[: len(heading.models)]
    return EvaluationReport(
        data=heading.data,
        split=heading.split,
        masks=heading.masks,
        models=tuple(map(scored_file, heading.models, networks)),
        baselines=tuple(evaluations[len(networks) :]),
        groups=groups,
        comparisons=_comparisons(networks, groups),
        warnings=heading.warnings,
        skipped=(*skipped, *heading.skipped),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """The sums that parts have of a network, or of a baseline."""

    name: str
    size: Size
    columns: Columns


class _JoinedImages:
    """The images of parts that are taken one by one.

    Attributes:
        files, patients, volumes, groups: of each image that is not skipped.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.patients: list[str | None] = []
        self.volumes: list[str | None] = []
        self.groups: list[int | None] = []
        self._numbers: list[int] = []
        self._kinds: list[_Kind] = []
        self._rows: list[array[float]] = []
        self._calibration: list[CalibrationSums] = []

    def add(self, name: str, part: Part) -> None:
        """Add the images of a part; raise DataError if it has other networks or baselines."""
        found = (*part.networks, *part.baselines)
        kinds = [_Kind(sums.name, sums.size, sums.samples.columns) for sums in found]
        if not self._numbers:
            self._kinds = kinds
            self._rows = [array("d") for _ in found]
            self._calibration = [CalibrationSums() for _ in found]
        elif kinds != self._kinds:
            raise DataError(f"{name}: has sums of other networks or baselines than other parts")
        for index, sums in enumerate(found):
            self._rows[index].frombytes(sums.samples.rows.ravel().view(np.uint8).data)
            self._calibration[index] += CalibrationSums(sums.calibration)
        images = found[0].samples
        self.files += images.files
        self.patients += images.patients
        self.volumes += images.volumes
        self.groups += part.groups
        self._numbers.append(len(images))

    def sort(self, order: Sequence[int]) -> None:
        """Bring the images into the order of the parts with these numbers."""
        if list(order) == list(range(len(order))):
            return
        ends = np.cumsum(self._numbers)
        index = np.concatenate([np.arange(ends[n] - self._numbers[n], ends[n]) for n in order])
        self.files = [self.files[n] for n in index]
        self.patients = [self.patients[n] for n in index]
        self.volumes = [self.volumes[n] for n in index]
        self.groups = [self.groups[n] for n in index]
        for rows, kind in zip(self._rows, self._kinds, strict=True):
            table = np.frombuffer(rows).reshape(-1, kind.columns.number)
            table[:] = table[index]

    def sums(self) -> list[NetworkSums]:
        """Return the sums of each network, and then of each baseline."""
        found = []
        for kind, rows, calibration in zip(self._kinds, self._rows, self._calibration, strict=True):
            table = np.frombuffer(rows).reshape(-1, kind.columns.number)
            samples = SampleTable(kind.columns, self.files, self.patients, self.volumes, table)
            found.append(NetworkSums(kind.name, kind.size, samples, calibration.sums))
        return found


def _ensure_alike(other: str, first: Part, name: str, part: Part) -> None:
    """Raise DataError unless two parts are of one evaluation."""
    for key in (*first.identity, *part.identity):
        one, two = first.identity.get(key, "none"), part.identity.get(key, "none")
        if one != two:
            raise DataError(
                f"{name}: is a part of another evaluation than {other}: {key} is {two}, not {one}"
            )


def _ensure_complete(ordered: Sequence[tuple[str, Part]]) -> None:
    """Raise DataError unless each image is in one of the parts."""
    for (name, part), (other, following) in pairwise(ordered):
        if following.start < part.stop and name == other:
            raise DataError(f"{name}: is given twice")
        if following.start < part.stop:
            raise DataError(
                f"{other}: has images {following.start + 1} to {min(part.stop, following.stop)} "
                f"that are in {name} too"
            )
    images = ordered[0][1].images
    stops = [0, *(part.stop for _, part in ordered)]
    starts = [*(part.start for _, part in ordered), images]
    missing = [(a + 1, b) for a, b in zip(stops, starts, strict=True) if a < b]
    if missing:
        ranges = ", ".join(f"{first} to {last}" for first, last in missing[:5])
        more = f" and {len(missing) - 5} more ranges" if len(missing) > 5 else ""
        raise DataError(f"the parts lack the images {ranges}{more} of {images}")


def _comparisons(
    evaluations: Sequence[Evaluation], groups: tuple[int, ...]
) -> tuple[Comparison, ...]:
    """Return the comparison of each pair whose masks were drawn at one size."""
    bootstrap = Bootstrap(len(evaluations[0].samples), groups or None)
    return tuple(
        compare(first, second, bootstrap)
        for first, second in combinations(evaluations, 2)
        if first.size == second.size
    )
