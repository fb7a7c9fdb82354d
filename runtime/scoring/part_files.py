"""Parts of an evaluation as JSON files: a row of six numbers for each network and image."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.core.json_files import read_json, without_nan
from runtime.core.schema import from_dict
from runtime.data.readable import Skipped
from runtime.scoring.calibration import CALIBRATION_BINS
from runtime.scoring.evaluation import NetworkSums
from runtime.scoring.parts import Heading, Part
from runtime.scoring.sample_table import Columns, SampleTable

PART_VERSION = 2
_COUNTS = 2 * CALIBRATION_BINS
_MAX_COUNT, _MAX_EXACT = 1 << 62, 1 << (62 + 1074)
"""Bounds of the sums of a part: no 2^62 pixels exist, and none adds more than 1."""


@dataclass(frozen=True, slots=True)
class _StoredSums:
    """`NetworkSums`, with the rows of its table alone."""

    name: str
    size: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]
    calibration: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _StoredPart:
    """`Part`, with what the tables of all networks share."""

    identity: dict[str, str]
    images: int
    start: int
    stop: int
    files: tuple[str, ...]
    patients: tuple[str | None, ...]
    volumes: tuple[str | None, ...]
    surface: bool
    lesions: bool
    networks: tuple[_StoredSums, ...]
    baselines: tuple[_StoredSums, ...]
    groups: tuple[int | None, ...]
    skipped: tuple[Skipped, ...]
    heading: Heading | None


def write_part(path: Path, part: Part) -> None:
    """Write a part as JSON. Raises OutputError."""
    table = part.networks[0].samples
    stored = _StoredPart(
        identity=part.identity,
        images=part.images,
        start=part.start,
        stop=part.stop,
        files=tuple(table.files),
        patients=tuple(table.patients),
        volumes=tuple(table.volumes),
        surface=table.columns.surface,
        lesions=table.columns.lesions,
        networks=tuple(map(_stored, part.networks)),
        baselines=tuple(map(_stored, part.baselines)),
        groups=part.groups,
        skipped=part.skipped,
        heading=part.heading,
    )
    content = {"part_version": PART_VERSION, **without_nan(stored)}
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read_part(path: Path) -> Part:
    """Read a part that `write_part` wrote.

    Raises:
        DataError: the file cannot be read, or is not a part of this version.
    """
    content = read_json(path, error=DataError)
    version = content.get("part_version") if isinstance(content, dict) else None
    if version != PART_VERSION:
        raise DataError(
            f"{path}: expected a part of version {PART_VERSION}, as seg-eval --shard writes it"
        )
    stored = from_dict(_StoredPart, content, where=str(path), error=DataError)
    if not _is_sound(stored):
        raise DataError(f"{path}: the numbers of this part do not fit together")
    return Part(
        identity=stored.identity,
        images=stored.images,
        start=stored.start,
        stop=stored.stop,
        networks=tuple(_sums(sums, stored) for sums in stored.networks),
        baselines=tuple(_sums(sums, stored) for sums in stored.baselines),
        groups=stored.groups,
        skipped=stored.skipped,
        heading=stored.heading,
    )


def _stored(sums: NetworkSums) -> _StoredSums:
    rows = tuple(map(tuple, sums.samples.rows.tolist()))
    return _StoredSums(sums.name, sums.size, rows, sums.calibration)


def _sums(sums: _StoredSums, part: _StoredPart) -> NetworkSums:
    columns = Columns(part.surface, part.lesions)
    rows = np.array(sums.rows, np.float64).reshape(-1, columns.number)
    height, width = sums.size
    table = SampleTable(columns, part.files, part.patients, part.volumes, rows)
    return NetworkSums(sums.name, (height, width), table, sums.calibration)


def _is_sound(part: _StoredPart) -> bool:
    images = len(part.files)
    return (
        0 <= part.start <= part.stop <= part.images
        and images + len(part.skipped) == part.stop - part.start
        and len(part.groups) == len(part.patients) == len(part.volumes) == images
        and (part.heading is None) == (part.start > 0)
        and len(part.networks) > 0
        and (part.heading is None or len(part.heading.models) == len(part.networks))
        and all(_has_sound_sums(sums, part) for sums in (*part.networks, *part.baselines))
    )


def _has_sound_sums(sums: _StoredSums, part: _StoredPart) -> bool:
    columns = Columns(part.surface, part.lesions)
    counts, totals = sums.calibration[:_COUNTS], sums.calibration[_COUNTS:]
    return (
        len(sums.size) == 2
        and len(sums.rows) == len(part.files)
        and all(columns.are_sound(row) for row in sums.rows)
        and len(totals) == CALIBRATION_BINS + 1
        and all(0 <= count < _MAX_COUNT for count in counts)
        and all(0 <= total < _MAX_EXACT for total in totals)
    )
