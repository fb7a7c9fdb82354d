"""NIfTI volumes with labels in BIDS derivatives (https://bids-specification.readthedocs.io)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from runtime.core.errors import DataError, printable
from runtime.core.extras import require
from runtime.core.files import read_bytes
from runtime.data.imports.labeled_volumes import LabelFile, open_labeled
from runtime.data.imports.source import ImportSource, LabeledScan, SourceOptions, skipped
from runtime.data.volumes.nifti import is_nifti, nifti_name

_LABEL_SUFFIXES = ("mask", "dseg")
_ENTITY = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9]+)")
_OF_LABELS = ("label", "desc", "space", "res", "atlas", "seg")
"""Entities of a label file's name that its image's name need not have."""
_MAX_TABLE_BYTES = 1 << 20


def is_bids(folder: Path, options: SourceOptions) -> bool:
    """Return whether a folder has label files named as in BIDS derivatives."""
    return any(True for _ in _bids_labels(folder))


def _bids_labels(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("**/sub-*/**/sub-*.nii*")):
        if is_nifti(path) and nifti_name(path).rpartition("_")[2] in _LABEL_SUFFIXES:
            yield path


def read_bids(folder: Path, options: SourceOptions) -> ImportSource:
    """Find the label files of BIDS derivatives (`_mask`, `_dseg`) and the images that they are of.

    An image has the label file's entities but `label`, `desc`, `space`, `res`, `atlas` and `seg`.
    Where an image has files of both kinds, its masks are used. The patient is the entity `sub`.

    Raises:
        DataError: a label file has several images, and `options.modality` chooses none of them.
        MissingExtraError: nibabel is not installed.
    """
    require("nifti", "nibabel")
    labels = list(_bids_labels(folder))
    names: dict[int, str] = {}
    owned: dict[Path, list[LabelFile]] = {}
    defects = []
    images = _bids_images(folder, labels)
    masks = sorted({_mask_name(path) for path in labels if _suffix(path) == "mask"})
    for path in labels:
        image = _image_of(path, images, options.modality)
        if image is None:
            defects.append(skipped(path.relative_to(folder), "a mask without its image"))
        elif _suffix(path) == "mask":
            level = masks.index(_mask_name(path)) + 1
            names[level] = _mask_name(path)
            owned.setdefault(image, []).append(LabelFile(path, level))
        else:
            owned.setdefault(image, []).append(LabelFile(path))
    scans = []
    for image, files in owned.items():
        own = [file for file in files if file.level is not None] or files[:1]
        if own[0].level is None:
            names = _dseg_names(own[0].path) | names
        opener = partial(open_labeled, image, tuple(own), options.volume)
        patient = f"sub-{_entities(image)['sub']}"
        scans.append(LabeledScan(nifti_name(image), opener, patient=patient))
    return ImportSource(folder, "BIDS derivatives", tuple(scans), "subjects", names, tuple(defects))


def _bids_images(folder: Path, labels: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the images of each subject."""
    images: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("**/sub-*/**/sub-*.nii*")):
        if is_nifti(path) and path not in labels and "sub" in _entities(path):
            images.setdefault(_entities(path)["sub"], []).append(path)
    return images


def _image_of(label: Path, images: Mapping[str, list[Path]], modality: str | None) -> Path | None:
    shared = {key: value for key, value in _entities(label).items() if key not in _OF_LABELS}
    candidates = [
        path
        for path in images.get(shared.get("sub", ""), [])
        if shared.items() <= _entities(path).items()
        and (modality is None or _suffix(path) == modality)
    ]
    # "sub-01_T1w_label-lesion_mask" names its image's suffix.
    named = [path for path in candidates if f"_{_suffix(path)}_" in label.name]
    candidates = named or candidates
    # An image in the label's own space comes first, such as a preprocessed one beside it.
    space = _entities(label).get("space")
    same = [path for path in candidates if _entities(path).get("space") == space]
    candidates = same or candidates
    if len(candidates) > 1:
        kinds = ", ".join(dict.fromkeys(_suffix(path) for path in candidates))
        raise DataError(
            f"{label}: several images may belong to it ({kinds}); choose one with --modality"
        )
    return candidates[0] if candidates else None


def _entities(path: Path) -> dict[str, str]:
    parts = (_ENTITY.fullmatch(part) for part in nifti_name(path).split("_"))
    return {match[1]: match[2] for match in parts if match}


def _suffix(path: Path) -> str:
    return nifti_name(path).rpartition("_")[2]


def _mask_name(path: Path) -> str:
    return _entities(path).get("label", "foreground")


def _dseg_names(path: Path) -> dict[int, str]:
    """Return the label names in the table beside a file of labels; empty without one."""
    table = path.with_name(f"{nifti_name(path)}.tsv")
    if not table.is_file():
        return {}
    text = read_bytes(table, limit=_MAX_TABLE_BYTES, error=DataError).decode("utf-8", "replace")
    header, *rows = [line.split("\t") for line in text.splitlines() if line.strip()] or [[]]
    if not {"index", "name"} <= set(header):
        return {}
    index, name = header.index("index"), header.index("name")
    whole = [row for row in rows if len(row) == len(header) and row[index].isdecimal()]
    return {int(row[index]): printable(row[name], 60) for row in whole if int(row[index])}
