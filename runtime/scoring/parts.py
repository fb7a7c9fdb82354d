"""Parts of an evaluation: the sums over some images of a split, and what they add up to.

The parts may be computed anywhere and in any order. Their sums are those of single images, or
exact, so the report that they add up to is the same to the bit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from runtime.core.errors import DataError
from runtime.core.settings import LengthUnit, MaskKind
from runtime.data.readable import Skipped, none_readable
from runtime.metrics import CalibrationSums
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.comparison import Comparison, compare
from runtime.scoring.evaluation import Evaluation, NetworkSums, conclude
from runtime.scoring.patients import number_groups
from runtime.scoring.results import EvaluationReport, FileFacts, scored_file
from runtime.scoring.sample_table import SampleTable


@dataclass(frozen=True, slots=True)
class Heading:
    """The facts that a report states besides the scores.

    Attributes:
        annotation_file: the COCO file of the split.
        clinical, unit: of the clinical scores.
        skipped: the images of the train split that cannot be read; the parts list the others.

    The other attributes are those of `EvaluationReport`.
    """

    data: str
    annotation_file: str
    split: str
    masks: MaskKind
    clinical: ClinicalConfig
    unit: LengthUnit
    models: tuple[FileFacts, ...]
    warnings: tuple[str, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The sums over the images from `start` to `stop`, exclusively, of a split.

    Attributes:
        identity: everything that the sums depend on, by name; equal in all parts of an evaluation.
        images: number of images of the split.
        networks, baselines: the sums of each.
        groups: the group of each image that is not skipped, as the data set states it.
        skipped: the images that cannot be read.
        heading: of the report; None unless `start` is 0.
    """

    identity: dict[str, str]
    images: int
    start: int
    stop: int
    networks: tuple[NetworkSums, ...]
    baselines: tuple[NetworkSums, ...]
    groups: tuple[int | None, ...]
    skipped: tuple[Skipped, ...]
    heading: Heading | None = None


def shard_range(shard: int, shards: int, images: int) -> tuple[int, int]:
    """Return start and stop of a shard, numbered from 1, of so many images.

    Example:
        >>> [shard_range(shard, 3, 10) for shard in (1, 2, 3)]
        [(0, 3), (3, 6), (6, 10)]
    """
    return images * (shard - 1) // shards, images * shard // shards


def merge(parts: Iterable[tuple[str, Part]]) -> EvaluationReport:
    """Return the report on all images of a split from its parts, in any order.

    Args:
        parts: each with its name, for messages.

    Raises:
        DataError: there is no part, some images are in none or in two of them, a part belongs to
            another evaluation, or no image can be read.
    """
    named = sorted(_alike(parts), key=lambda pair: (pair[1].start, pair[1].stop))
    _ensure_complete(named)
    ordered = [part for _, part in named]
    heading = next(part.heading for part in ordered if part.heading is not None)
    skipped = tuple(image for part in ordered for image in part.skipped)
    if len(skipped) == ordered[0].images:
        raise none_readable(Path(heading.annotation_file), skipped[0])
    groups = _groups(ordered)

    def concluded(parts: Sequence[tuple[NetworkSums, ...]]) -> tuple[Evaluation, ...]:
        joined = map(_joined, zip(*parts, strict=True))
        return tuple(conclude(sums, heading.clinical, heading.unit, groups) for sums in joined)

    networks = concluded([part.networks for part in ordered])
    return EvaluationReport(
        data=heading.data,
        split=heading.split,
        masks=heading.masks,
        models=tuple(map(scored_file, heading.models, networks)),
        baselines=concluded([part.baselines for part in ordered]),
        groups=groups,
        comparisons=_comparisons(networks, groups),
        warnings=heading.warnings,
        skipped=(*skipped, *heading.skipped),
    )


def _alike(parts: Iterable[tuple[str, Part]]) -> list[tuple[str, Part]]:
    """Return the parts; raise DataError unless they are all of one evaluation."""
    known: list[tuple[str, Part]] = []
    for name, part in parts:
        other, first = known[0] if known else (name, part)
        for key in (*first.identity, *part.identity):
            one, two = first.identity.get(key, "none"), part.identity.get(key, "none")
            if one != two:
                raise DataError(
                    f"{name}: is a part of another evaluation than {other}: {key} is {two}, not "
                    f"{one}"
                )
        known.append((name, part))
    if not known:
        raise DataError("there are no parts to merge")
    return known


def _ensure_complete(ordered: Sequence[tuple[str, Part]]) -> None:
    """Raise DataError unless each image is in one of the parts."""
    for (name, part), (other, following) in pairwise(ordered):
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


def _joined(parts: Sequence[NetworkSums]) -> NetworkSums:
    tables = [part.samples for part in parts]
    table = SampleTable(
        tables[0].columns,
        [file for one in tables for file in one.files],
        [patient for one in tables for patient in one.patients],
        np.concatenate([one.rows for one in tables]),
    )
    calibration = sum((CalibrationSums(p.calibration) for p in parts), start=CalibrationSums())
    return NetworkSums(parts[0].name, parts[0].size, table, calibration.sums)


def _groups(parts: Sequence[Part]) -> tuple[int, ...]:
    """Return the group of each image that is not skipped; empty if none are known."""
    groups = [group for part in parts for group in part.groups]
    patients = [one for part in parts for one in part.networks[0].samples.patients]
    return number_groups(groups, patients)


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
