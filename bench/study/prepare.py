"""The data of a study: explored, audited and split by groups, before any training."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.schedule import Schedule
from bench.study.config import StudyConfig
from bench.study.step_cache import StepCache
from runtime.core.errors import ConfigError
from runtime.core.files import write_text
from runtime.data.audit import AuditSummary, audit_dataset, summarize
from runtime.data.coco import Dataset, manifest_sha256, read_dataset
from runtime.data.grouped_split import GroupedSplit, split_by_group, write_split
from runtime.report.exploration import Exploration, explore

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a study.

    Attributes:
        datasets: the data set with each kind of split that is studied.
        sha256: the digest of each one's manifest.
        groups: the group of each image, by its resolved path.
        audit, grouped_audit: of the original split, and of the grouped one.
    """

    original: Dataset
    datasets: Mapping[str, Dataset]
    sha256: Mapping[str, str]
    groups: Mapping[Path, int]
    exploration: Exploration
    audit: AuditSummary
    grouped_audit: AuditSummary


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    sha256: str


def prepare(config: StudyConfig, folder: Path, results: StepCache, schedule: Schedule) -> Prepared:
    """Explore and audit the data set, and write the grouped split and `groups.csv` to `folder`.

    Raises:
        DataError: the data set cannot be used.
        ConfigError: `folder` holds a study of other data.
    """
    schedule.start("read the data")
    original = read_dataset(config.data)
    for name in SPLITS:
        original.split(name)
    sha256 = manifest_sha256(original.splits.values())
    first = results.result("data", None, _Fingerprint, lambda: _Fingerprint(sha256))
    if first.sha256 != sha256:
        raise ConfigError(
            f"{folder}: holds a study of other data than {config.data}; give another --out"
        )
    schedule.start("explore the data")
    exploration = results.result("exploration", sha256, Exploration, lambda: explore(original))
    schedule.start("look for leaks")
    target = folder / f"{original.name}-grouped"
    summary = results.result(
        "audit", [sha256, config.seed], AuditSummary, lambda: _split(original, target, config.seed)
    )
    grouped = read_dataset(target)
    remaining = results.result(
        "audit-grouped",
        [sha256, config.seed],
        AuditSummary,
        lambda: summarize(audit_dataset(grouped)),
    )
    both = {"original": original, "grouped": grouped}
    datasets: dict[str, Dataset] = {kind: both[kind] for kind in config.splits}
    manifests = {
        kind: sha256 if kind == "original" else manifest_sha256(dataset.splits.values())
        for kind, dataset in datasets.items()
    }
    groups = _groups(grouped)
    return Prepared(original, datasets, manifests, groups, exploration, summary, remaining)


def _groups(grouped: Dataset) -> dict[Path, int]:
    return {
        sample.path.resolve(): sample.group
        for split in grouped.splits.values()
        for sample in split.samples
        if sample.group is not None
    }


def _split(original: Dataset, target: Path, seed: int) -> AuditSummary:
    audit = audit_dataset(original)
    split = split_by_group(original, audit, seed=seed)
    if not target.is_dir():  # else an interrupted study wrote it before the step was cached
        write_split(original, split, target)
    write_text(target.parent / "groups.csv", _table(split))
    return summarize(audit)


def _table(split: GroupedSplit) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "group", "original split", "grouped split"])
    for image, assigned in zip(split.audit.images, split.assigned, strict=True):
        writer.writerow([image.sample.file_name, image.group, image.split, assigned])
    return text.getvalue()
