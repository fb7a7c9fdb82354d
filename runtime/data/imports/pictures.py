"""Folders of pictures with masks in files of their own, by patient or not."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from runtime.core.errors import DataError
from runtime.data.image_names import patient_name, slice_number
from runtime.data.imports.config import PatientSource
from runtime.data.imports.source import (
    ImportSource,
    LabeledScan,
    SourceOptions,
    UnusableScanError,
    skipped,
)
from runtime.data.label_pictures import mask_levels, picture_sizes
from runtime.data.layouts import SPLIT_NAMES
from runtime.data.mask_files import IMAGE_FOLDERS, MaskFolder
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume, volume_of

MIN_PATIENT_FOLDERS = 4
"""Fewest folders that are taken as patients: fewer are rather classes, such as "benign"."""
_SIZE = "a mask of another size than its image"
_SPLITS = {alias: name for name, aliases in SPLIT_NAMES.items() for alias in aliases}


def is_picture_folder(folder: Path, options: SourceOptions) -> bool:
    """Return whether a folder has pictures with masks (`runtime.data.mask_files`)."""
    return MaskFolder(folder, options.mask_pattern).has_pairs()


def read_pictures(folder: Path, options: SourceOptions) -> ImportSource:
    """Find the pictures of a folder that have masks.

    A folder named like a split holds that split's pictures. Patients are the folders of
    the pictures, or else what all names state (`runtime.data.image_names.patient_name`).

    Raises:
        DataError: a mask pattern that finds no mask.
    """
    masks = MaskFolder(folder, options.mask_pattern)
    files = list(masks.pictures())
    pairs = {path: masks.masks_of(path) for path in files if not masks.is_mask_name(path)}
    used = {mask for found in pairs.values() for mask in found}
    defects = [
        skipped(path, "an image without a mask")
        for path, found in pairs.items()
        if not found and path not in used
    ]
    defects += [
        skipped(path, "a mask without its image")
        for path in files
        if masks.is_mask_name(path) and path not in used
    ]
    pictures = [path for path, found in pairs.items() if found and path not in used]
    if not pictures:
        raise DataError(f"{folder}: no picture has a mask")
    patients, source = _patients(pictures, options.patients)
    splits = [_split_of(path) for path in pictures]
    stated = all(split is not None for split in splits)
    return ImportSource(
        folder,
        "pictures with masks",
        tuple(
            LabeledScan(
                path.with_suffix("").as_posix(),
                _Opener(folder, path, pairs[path]),
                patient,
                split if stated else None,
                folder / path,
            )
            for path, patient, split in zip(pictures, patients, splits, strict=True)
        ),
        source,
        None,
        tuple(defects),
        options.mask_pattern,
    )


class _Opener:
    """Reads the masks of a picture, which must have the picture's size."""

    def __init__(
        self, root: Path, picture: PurePosixPath, masks: tuple[PurePosixPath, ...]
    ) -> None:
        self._picture = root / picture
        self._masks = [root / mask for mask in masks]

    def __call__(self, plane: Plane) -> tuple[None, Volume]:
        sizes = picture_sizes(self._picture)
        levels = [mask_levels(mask) for mask in self._masks]
        for mask, found in zip(self._masks, levels, strict=True):
            if found.shape not in sizes:
                (height, width), found_size = sizes[0], f"{found.shape[1]}x{found.shape[0]}"
                raise UnusableScanError(
                    f"{width}x{height} pixels, but the mask {mask.name} has {found_size}", _SIZE
                )
        if len({found.shape for found in levels}) > 1:
            raise UnusableScanError("masks of different sizes", _SIZE)
        joined = np.maximum.reduce(levels)
        return None, volume_of(joined[None].astype(np.float32), source=self._masks[0])


def _split_of(path: PurePosixPath) -> str | None:
    """Return the split that a folder of a picture is named after."""
    names = (_SPLITS.get(part.lower()) for part in path.parts[:-1])
    return next((name for name in names if name is not None), None)


def _patients(
    pictures: Sequence[PurePosixPath], source: PatientSource | None
) -> tuple[list[str | None], str]:
    """Return the patient of each picture, and the source of patients in words."""
    named = [patient_name(path.as_posix()) for path in pictures]
    folders = [_patient_folder(path) for path in pictures]
    enough = None not in folders and len(set(folders)) >= MIN_PATIENT_FOLDERS
    if source == "folder" or (source is None and enough):
        return folders, "folders"
    if source is None and None not in named:
        return named, "names"
    if source == "name":
        pairs = zip(named, pictures, strict=True)
        return [name or slice_number(path.name)[0] or path.stem for name, path in pairs], "names"
    return [None] * len(pictures), ""


def _patient_folder(path: PurePosixPath) -> str | None:
    """Return the folder of a picture, without those named after images or splits."""
    general = (*IMAGE_FOLDERS, *_SPLITS)
    parts = [part for part in path.parts[:-1] if part.lower() not in general]
    folder = "/".join(parts)
    return (patient_name(folder) or folder) if folder else None
