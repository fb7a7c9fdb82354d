"""The data of a study: explored, audited and split by groups, before any training."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.schedule import Schedule
from bench.study.config import StudyConfig
from bench.study.step_cache import StepCache
from runtime.core.errors import ConfigError
from runtime.core.files import write_text
from runtime.data.audit import Audit, AuditSummary, audit_dataset, summarize
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.manifest import manifest_sha256
from runtime.data.split_files import write_split
from runtime.report.exploration import Exploration, explore

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a study.

    Attributes:
        datasets: the data set with each kind of split that is studied.
        sha256: the digest of each one's manifest.
        groups: the group of each image, by its resolved path.
        audit, grouped_audit: of the original split, and of the grouped one if it is studied.
    """

    original: Dataset
    datasets: Mapping[str, Dataset]
    sha256: Mapping[str, str]
    groups: Mapping[Path, int]
    exploration: Exploration
    audit: AuditSummary
    grouped_audit: AuditSummary | None


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    sha256: str


@dataclass(frozen=True, slots=True)
class _Audited:
    """The audit of the original split, and the group of each of its images."""

    summary: AuditSummary
    groups: tuple[int, ...]


def prepare(
    config: StudyConfig,
    folder: Path,
    results: StepCache,
    schedule: Schedule,
    dataset: Dataset | None = None,
) -> Prepared:
    """Explore and audit the data set, and write `groups.csv` and the grouped split to `folder`.

    The grouped split is made only if it is studied.

    Args:
        dataset: the data set of `config`, where it was read before.

    Raises:
        DataError: the data set cannot be used.
        ConfigError: `folder` holds a study of other data.
    """
    schedule.start("read the data")
    original = dataset or _read(config.data, config)
    for name in SPLITS:
        original.split(name)
    sha256 = _checked_sha256(original, config, folder, results)
    chosen = [sha256, config.masks, config.categories, config.intensity]
    schedule.start("explore the data")
    exploration = results.result(
        "exploration", chosen, Exploration, lambda: explore(original, masks=config.masks)
    )
    schedule.start("look for leaks")
    seen = [sha256, config.intensity]
    audit = cache(lambda: audit_dataset(original))
    audited = results.result("groups", seen, _Audited, lambda: _audited(audit()))
    datasets, grouped_audit = {"original": original}, None
    if "grouped" in config.splits:
        target = folder / f"{original.name}-grouped"
        grouped_audit = results.result(
            "audit-grouped",
            [*seen, config.seed],
            AuditSummary,
            lambda: summarize(audit_dataset(_grouped(original, audit(), target, config))),
        )
        datasets["grouped"] = _read(target, config)
    groups = dict(zip(_paths(original), audited.groups, strict=True))
    write_text(folder / "groups.csv", _table(datasets, groups))
    datasets = {kind: datasets[kind] for kind in config.splits}
    manifests = {
        kind: sha256 if kind == "original" else manifest_sha256(dataset.splits.values())
        for kind, dataset in datasets.items()
    }
    return Prepared(
        original, datasets, manifests, groups, exploration, audited.summary, grouped_audit
    )


def _read(folder: str | Path, config: StudyConfig) -> Dataset:
    return read_dataset(folder, categories=config.categories, intensity=config.intensity)


def _checked_sha256(
    original: Dataset, config: StudyConfig, folder: Path, results: StepCache
) -> str:
    """Return the digest of the manifest. Raises ConfigError if other data were studied before."""
    sha256 = manifest_sha256(original.splits.values())
    first = results.result("data", None, _Fingerprint, lambda: _Fingerprint(sha256))
    if first.sha256 != sha256:
        raise ConfigError(
            f"{folder}: holds a study of other data than {config.data}; give another --out"
        )
    return sha256


def _audited(audit: Audit) -> _Audited:
    return _Audited(summarize(audit), tuple(image.group for image in audit.images))


def _grouped(original: Dataset, audit: Audit, target: Path, config: StudyConfig) -> Dataset:
    split = split_by_group(original, audit, seed=config.seed)
    if not target.is_dir():
        return write_split(original, split, target)
    # An interrupted study wrote it before the step was cached.
    written = read_dataset(target, intensity=config.intensity)
    wanted = dict(zip(_paths(original), split.assigned, strict=True))
    if _owners(written) != wanted:
        raise ConfigError(f"{target}: was split by another rule; give another --out")
    return written


def _paths(dataset: Dataset) -> list[Path]:
    """Return the resolved paths of all images, in the order of an audit's images."""
    return [s.path.resolve() for split in dataset.splits.values() for s in split.samples]


def _owners(dataset: Dataset) -> dict[Path, str]:
    """Return the split of each image, by its resolved path."""
    return {s.path.resolve(): name for name, part in dataset.splits.items() for s in part.samples}


def _table(datasets: Mapping[str, Dataset], groups: Mapping[Path, int]) -> str:
    """Return the group of each image, and its place in each kind of split, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    owners = {kind: _owners(dataset) for kind, dataset in datasets.items()}
    writer.writerow(["file", "group", *(f"{kind} split" for kind in owners)])
    for split in datasets["original"].splits.values():
        for sample in split.samples:
            path = sample.path.resolve()
            places = [where[path] for where in owners.values()]
            writer.writerow([sample.file_name, groups[path], *places])
    return text.getvalue()
