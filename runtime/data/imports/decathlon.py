"""NIfTI volumes with labels in the layout of the Medical Segmentation Decathlon, or nnU-Net."""

import re
from functools import partial
from pathlib import Path

from runtime.core.errors import DataError, printable
from runtime.core.extras import require
from runtime.core.json_files import read_json
from runtime.data.defects import Defect
from runtime.data.imports.labeled_volumes import LabelFile, open_labeled
from runtime.data.imports.source import ImportSource, LabeledScan, SourceOptions, skipped
from runtime.data.volumes.nifti import is_nifti, nifti_name

_DESCRIPTION = "dataset.json"
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def is_decathlon(folder: Path, options: SourceOptions) -> bool:
    """Return whether a folder has the Medical Segmentation Decathlon's layout, or nnU-Net's."""
    return (folder / _DESCRIPTION).is_file() and (folder / "imagesTr").is_dir()


def read_decathlon(folder: Path, options: SourceOptions) -> ImportSource:
    """Find the volumes in `imagesTr` that have labels in `labelsTr`; each is a patient of its own.

    Of images with a file for each channel, `NAME_0000.nii.gz` and so on, `options.volume` chooses
    the channel, and otherwise the first is taken.

    Raises:
        DataError: `dataset.json` cannot be read, or there are no labels.
        MissingExtraError: nibabel is not installed.
    """
    require("nifti", "nibabel")
    content = read_json(folder / _DESCRIPTION, error=DataError)
    content = content if isinstance(content, dict) else {}
    images = {nifti_name(path): path for path in _nifti_files(folder / "imagesTr")}
    labels = {nifti_name(path): path for path in _nifti_files(folder / "labelsTr")}
    if not labels:
        raise DataError(f"{folder}: no label volumes in labelsTr")
    channel = f"_{(options.volume or 1) - 1:04d}"
    scans, used = [], set()
    defects: list[Defect] = []
    for name, path in labels.items():
        image, number = images.get(name), options.volume
        if image is None:
            image, number = images.get(name + channel), None
        if image is None:
            defects.append(skipped(path.relative_to(folder), "a mask without its image"))
            continue
        used.add(nifti_name(image))
        opener = partial(open_labeled, image, (LabelFile(path),), number)
        scans.append(LabeledScan(name, opener, patient=name))
    for name, path in images.items():
        match = _CHANNEL.fullmatch(name)
        if name not in used and not (match and match[1] in labels):
            defects.append(skipped(path.relative_to(folder), "an image without a mask"))
    license_ = content.get("licence", content.get("license"))
    return ImportSource(
        folder,
        "Medical Segmentation Decathlon",
        tuple(scans),
        "volumes",
        _decathlon_names(content.get("labels")),
        tuple(defects),
        license=printable(license_, 100) if isinstance(license_, str) else None,
    )


def _decathlon_names(labels: object) -> dict[int, str]:
    """Return label names by level: the Decathlon has them by level, nnU-Net the other way round."""
    names = {}
    for key, value in labels.items() if isinstance(labels, dict) else ():
        level, name = (key, value) if isinstance(value, str) else (value, key)
        if isinstance(level, str | int) and str(level).isdecimal() and int(level) > 0:
            names[int(level)] = printable(name, 60)
    return names


def _nifti_files(folder: Path) -> list[Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in files if is_nifti(path) and not path.name.startswith("."))
