"""Before any training: the data examined, audited, and split by groups."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.study.config import StudyConfig
from bench.study.kept import Kept
from bench.work import Work
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
        datasets: the data set by the kinds of split that the study asks for.
        sha256: of each one's manifest.
        groups: the group of each image.
        audit, grouped_audit: of the data set's own split, and of the grouped one.
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


def prepare(config: StudyConfig, folder: Path, kept: Kept, work: Work) -> Prepared:
    """Explore and audit the data set, and write the grouped split and `groups.csv` to `folder`.

    Raises:
        DataError: the data set cannot be used.
        ConfigError: `folder` holds a study of other data.
    """
    work.begin("read the data")
    original = read_dataset(config.data)
    for name in SPLITS:
        original.split(name)
    sha256 = manifest_sha256(original.splits.values())
    known = kept.result("data", None, _Fingerprint, lambda: _Fingerprint(sha256))
    if known.sha256 != sha256:
        raise ConfigError(
            f"{folder}: expected a study of {config.data}, found one of other data; give another "
            "--out"
        )
    work.begin("explore the data")
    exploration = kept.result("exploration", sha256, Exploration, lambda: explore(original))
    work.begin("look for leaks")
    target = folder / f"{original.name}-grouped"
    summary = kept.result(
        "audit", [sha256, config.seed], AuditSummary, lambda: _split(original, target, config.seed)
    )
    grouped = read_dataset(target)
    remaining = kept.result(
        "audit-grouped", [sha256, config.seed], AuditSummary,
        lambda: summarize(audit_dataset(grouped)),
    )  # fmt: skip
    groups = {
        sample.path.resolve(): sample.group
        for split in grouped.splits.values()
        for sample in split.samples
        if sample.group is not None
    }
    found = {"original": original, "grouped": grouped}
    datasets: dict[str, Dataset] = {kind: found[kind] for kind in config.splits}
    manifests = {
        kind: sha256 if kind == "original" else manifest_sha256(dataset.splits.values())
        for kind, dataset in datasets.items()
    }
    return Prepared(original, datasets, manifests, groups, exploration, summary, remaining)


def _split(original: Dataset, target: Path, seed: int) -> AuditSummary:
    audit = audit_dataset(original)
    split = split_by_group(original, audit, seed=seed)
    if not target.is_dir():  # else it was written before the step could be kept
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
