"""COCO data sets: their splits, each of which is read when it is first asked for.

The format is https://cocodataset.org/#format-data, in the layouts of `runtime.data.layouts`.
Annotations of every category are foreground, unless categories are chosen.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from runtime.core.errors import AnnotationError, DataError
from runtime.data.coco_file import read_split
from runtime.data.images import SUFFIXES
from runtime.data.layouts import ROBOFLOW_FILE, SPLIT_NAMES, SplitPlace, find_splits
from runtime.data.split import Split
from runtime.data.volumes.dicom_files import is_dicom_file
from runtime.data.volumes.nifti import is_nifti

_LOOKED_AT = 1000
"""Most files of a folder without annotations that are looked at."""


class Splits(Mapping[str, Split]):
    """The splits of a data set by name; each is read when it is first asked for.

    A file that cannot be used then stops only the commands that need its split.
    """

    def __init__(self, places: Mapping[str, SplitPlace], intensity: int | None = None) -> None:
        self._places = places
        self._intensity = intensity
        self._read: dict[str, Split] = {}

    def __getitem__(self, name: str) -> Split:
        if name not in self._read:
            self._read[name] = read_split(name, self._places[name], self._intensity)
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set: its folder, and its splits by name ("train", "valid", "test" or other names).

    Attributes:
        splits: as in the COCO files, with annotations of all categories.
        categories: names of the categories that are foreground; empty for all.
    """

    root: Path
    splits: Mapping[str, Split]
    categories: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Dataset({str(self.root)!r}, splits {', '.join(self.splits)})"

    @property
    def files(self) -> Iterator[Path]:
        """The COCO files, and the images that they list; without those of unreadable files."""
        for name in self.splits:
            with suppress(AnnotationError):
                split = self.splits[name]
                yield split.annotation_file
                yield from (sample.path for sample in split.samples)

    @property
    def image_root(self) -> Path:
        """The folder that holds all images: `root`, or the folder that the COCO files name."""
        return next((s.image_root for s in self.splits.values() if s.image_root), self.root)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    @property
    def license(self) -> str | None:
        """The first license that a COCO file names."""
        return next((s.license for s in self.splits.values() if s.license), None)

    def split(self, name: str, *, allow_missing: bool = False) -> Split:
        """Return a split that is free of fatal defects, with the chosen categories.

        Args:
            name: of the split; "val" and "dev" are names of "valid".
            allow_missing: accept a split with missing images, for `runtime.readable_part` to skip.

        Raises:
            DataError: there is no such split, it has no images or no such category, or it has a
                fatal defect.
        """
        if name not in self.splits:
            name = next((n for n, names in SPLIT_NAMES.items() if name in names), name)
        if name not in self.splits:
            alone = len(self.splits) == 1
            raise DataError(
                f"{self.root}: no split {name!r}; the splits are {', '.join(self.splits)}"
                + ("; `seg-data split --shares 70/15/15` makes three of it" if alone else "")
            )
        split = self.splits[name]
        for defect in split.defects:
            if defect.fatal and not (allow_missing and defect.missing):
                of_file = defect.where == split.annotation_file.name
                text = defect.problem if of_file else str(defect)
                raise AnnotationError(f"{split.annotation_file}: {text}")
        if not split.samples:
            raise DataError(f"{split.annotation_file}: no images")
        return split.only(self.categories)


def read_dataset(
    root: str | Path, *, categories: Sequence[str] = (), intensity: int | None = None
) -> Dataset:
    """Find the splits of a data set; each COCO file is read when its split is first asked for.

    Images are not opened. A COCO file that is not JSON, or lacks `images` or `annotations`, raises
    AnnotationError where its split is asked for.

    Args:
        categories: names of the categories that are foreground; by default all.
        intensity: level of 16-bit images that is white; by default what each image states, or
            65535.

    Raises:
        DataError: `root` is not a folder in one of the two layouts.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from runtime.data.phantom import PhantomConfig, make_phantom
        >>> with TemporaryDirectory() as folder:
        ...     config = PhantomConfig(train=2, valid=1, test=1, slices=1, size=32)
        ...     dataset = read_dataset(make_phantom(folder, config))
        ...     print([sample.file_name for sample in dataset.split("train").samples])
        ...     print(dataset.license)
        ['person000_slice0.png', 'person001_slice0.png']
        CC0 1.0
    """
    folder = Path(root)
    if not os.path.isdir(folder):  # noqa: PTH112, is_dir() raises on a name that is too long
        raise DataError(f"{folder}: no such folder")
    places = find_splits(folder)
    if not places:
        raise DataError(
            f"{folder}: not a COCO data set, which has train|valid|test/{ROBOFLOW_FILE} or "
            f"annotations/*.json{_advice(folder)}"
        )
    return Dataset(folder, Splits(places, intensity), tuple(categories))


def _advice(folder: Path) -> str:
    """Return how a folder of pictures or volumes becomes a data set; empty for another folder."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    for file in islice(files, _LOOKED_AT):
        if file.suffix.lower() in SUFFIXES or is_nifti(file) or is_dicom_file(file):
            return (
                f"; `seg-data import {folder} OUT` makes one of pictures with masks, and of NIfTI "
                "or DICOM scans with labels"
            )
    return ""
