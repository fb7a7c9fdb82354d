"""Writing the scans of a folder as a COCO data set, split by patient."""

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import DataError
from runtime.core.files import replacing_folder
from runtime.core.json_files import write_json
from runtime.core.machine import available_cores
from runtime.core.progress import Progress, ProgressCallback, counted
from runtime.core.pseudonyms import Pseudonyms
from runtime.core.schema import to_dict
from runtime.core.workers import map_ahead
from runtime.data.coco import Dataset, read_dataset
from runtime.data.coco_file import EMPTY_MASKS, IMAGE_ROOT, MASK_PATTERN, VOLUMES
from runtime.data.defects import Defect
from runtime.data.imports.anonymous import numbered, without_names
from runtime.data.imports.coco_files import (
    ImportedImage,
    coco_content,
    region_of,
    relative_folder,
)
from runtime.data.imports.config import ImportConfig
from runtime.data.imports.importers import find_source
from runtime.data.imports.labels import LabelRule, label_rule
from runtime.data.imports.patient_split import PlacedImages, assign_splits
from runtime.data.imports.source import ImportSource, LabeledScan, skipped
from runtime.data.layouts import ROBOFLOW_FILE
from runtime.data.samples import VolumeSlice
from runtime.data.volumes.gray import gray_slices
from runtime.data.volumes.volume import Volume

IMAGES = "images"
"""The folder of the slices of volumes, in the written data set."""
_PNG_LEVEL = 3


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of `import_dataset`.

    Attributes:
        dataset: the written data set, as it is read back.
        layout: of the source, in words.
        patients: number of patients by split; empty where the source states none.
        patients_from: the source of the patients, in words.
        dropped: number of images without foreground that were dropped, as asked for.
        defects: scans that were skipped, such as a mask without its image.
    """

    dataset: Dataset
    layout: str
    patients: dict[str, int]
    patients_from: str
    dropped: int
    defects: tuple[Defect, ...]


@dataclass(frozen=True, slots=True)
class _Imported:
    """The images of a scan, or the reason why it is skipped."""

    images: tuple[ImportedImage, ...] = ()
    modality: str | None = None
    dropped: int = 0
    defect: Defect | None = None


def import_dataset(
    source: str | Path,
    out: str | Path,
    config: ImportConfig | None = None,
    *,
    on_progress: ProgressCallback | None = None,
) -> ImportReport:
    """Make a COCO data set of scans with masks, completely or not at all.

    Layouts are those of `runtime.data.imports.importers`. Pictures stay in their place. Slices of
    volumes are written as 8-bit gray PNG files by the rule of `runtime.data.volumes.gray`. Masks
    are written as run-length encodings. No patient is in two splits.

    Args:
        out: folder of the data set, which must not exist or be empty.
        on_progress: called after each scan, with numbers of scans.

    Raises:
        DataError: the folder has no layout that is known, or nothing in it can be imported.
        ConfigError: a label that the source does not have.
        MissingExtraError: the layout needs a package that is not installed.
        OutputError: `out` is not empty, or cannot be written.
    """
    config = config or ImportConfig()
    root, target = Path(source), Path(out)
    found = find_source(root, config.options)
    if config.anonymous:
        found = numbered(found)
    labels = label_rule(config.labels, found.names)
    with replacing_folder(target) as temporary:
        writer = _ScanWriter(temporary, config, labels)
        imported = _import_all(found.scans, writer, on_progress)
        images = [image for each in imported for image in each.images]
        defects = [*found.defects, *(each.defect for each in imported if each.defect is not None)]
        if config.anonymous:
            defects = without_names(defects, Pseudonyms([root]))
        if not images:
            first = f"; the first: {defects[0]}" if defects else ""
            raise DataError(f"{root}: nothing can be imported{first}")
        try:
            placed = assign_splits(images, root, config)
        except DataError as error:
            if not defects:
                raise
            skipped = counted(len(defects), "scan")
            raise DataError(f"{error}; {skipped} skipped, the first: {defects[0]}") from error
        modalities = sorted({each.modality for each in imported if each.modality is not None})
        of_volumes = replace(config.volumes, modalities=tuple(modalities))
        made = replace(config, volumes=of_volumes)
        _write_splits(temporary, target, placed, found, made, labels)
        _ensure_readable(temporary, target)
    return ImportReport(
        read_dataset(target),
        found.description,
        placed.patients(),
        found.patients,
        sum(each.dropped for each in imported),
        tuple(defects),
    )


def _import_all(
    scans: Sequence[LabeledScan], writer: "_ScanWriter", on_progress: ProgressCallback | None
) -> list[_Imported]:
    cores = available_cores()
    imported = []
    for each in map_ahead(writer.write, scans, workers=cores, ahead=2 * cores):
        imported.append(each)
        if on_progress is not None:
            on_progress(Progress(len(imported), len(scans), "import"))
    return imported


class _ScanWriter:
    """Reads scans, and writes the slices of volumes into a folder."""

    def __init__(self, folder: Path, config: ImportConfig, labels: LabelRule) -> None:
        self._folder = folder
        self._config = config
        self._labels = labels

    def write(self, scan: LabeledScan) -> _Imported:
        """Return the images of a scan, or why it is skipped; nothing of it remains then."""
        try:
            volume, labels = scan.open(self._config.volumes.plane)
            return self._write(scan, volume, labels)
        except DataError as error:
            shutil.rmtree(self._folder / IMAGES / scan.name, ignore_errors=True)
            reason = getattr(error, "reason", "a file that cannot be read")
            return _Imported(defect=skipped(scan.name, str(error), reason=reason))

    def _write(self, scan: LabeledScan, volume: Volume | None, labels: Volume) -> _Imported:
        gray = None if volume is None else gray_slices(volume, self._config.volumes)
        distances = None if volume is None else volume.spacing
        between, within = (None, None) if distances is None else (distances[0], distances[1:])
        stack = volume is not None and volume.shape[0] > 1
        # By name, so that a choice depends neither on threads nor on other scans.
        chances = np.random.default_rng([self._config.seed, zlib.crc32(scan.name.encode())])
        kept = chances.random(labels.shape[0]) < self._config.keep_empty
        images, dropped = [], 0
        for index in range(labels.shape[0]):
            regions = tuple(
                region_of(category, mask)
                for category, mask in self._labels.regions(labels.read(index))
            )
            if not regions and not kept[index]:
                dropped += 1
                continue
            name, path = self._place(scan, index)
            if gray is not None:
                _write_png(path, gray(index))
            height, width = labels.shape[1:]
            known = (scan.patient, scan.split, regions)
            place = VolumeSlice(scan.name, index, between) if stack else None
            images.append(ImportedImage(name, path, width, height, *known, within, place))
        return _Imported(tuple(images), None if volume is None else volume.modality, dropped)

    def _place(self, scan: LabeledScan, index: int) -> tuple[str, Path]:
        """Return the name of an image in the COCO file, and its path."""
        if scan.picture is not None:
            return scan.name + scan.picture.suffix, scan.picture
        name = f"{IMAGES}/{scan.name}/slice{index:04d}.png"
        return name, self._folder / name


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=_PNG_LEVEL)


def _write_splits(
    folder: Path,
    target: Path,
    placed: PlacedImages,
    source: ImportSource,
    config: ImportConfig,
    labels: LabelRule,
) -> None:
    """Write the COCO files. Their `info` says how the images were made."""
    categories = {each.id: each for each in labels.chosen}
    for images in placed.images.values():
        categories |= {r.category.id: r.category for image in images for r in image.regions}
    ordered = [categories[identity] for identity in sorted(categories)]
    volumes = any(scan.picture is None for scan in source.scans)
    named = "" if config.anonymous else f"{source.root.resolve().name}, "
    info: dict[str, Any] = {
        "description": f"{named}imported from {source.description}",
        "import": {
            "labels": list(config.labels),
            "keep_empty": config.keep_empty,
            "seed": config.seed,
            "patients": source.patients,
        },
        EMPTY_MASKS: True,
    }
    if volumes:
        info[VOLUMES] = to_dict(config.volumes)
    if source.mask_pattern is not None:
        info[MASK_PATTERN] = source.mask_pattern
    for name, images in placed.images.items():
        root = target if volumes else source.root
        content = coco_content(
            images,
            ordered,
            groups=placed.groups[name],
            info={**info, IMAGE_ROOT: relative_folder(root, target / name)},
            license_name=source.license,
        )
        write_json(folder / name / ROBOFLOW_FILE, content)


def _ensure_readable(written: Path, target: Path) -> None:
    """Raise DataError unless the written data set reads back."""
    try:
        dataset = read_dataset(written)
        for name in dataset.splits:
            dataset.split(name)
    except DataError as error:
        reason = str(error).replace(str(written), str(target))
        raise DataError(f"the imported data set could not be read back: {reason}") from error
