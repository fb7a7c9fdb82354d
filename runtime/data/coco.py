"""Reading a COCO data set: its splits, their images and annotations.

The format is https://cocodataset.org/#format-data, in the layouts of `runtime.data.layouts`.
Annotations of every category are foreground, unless categories are chosen.

The images may also lie in the folder of another data set that `info.image_root` names, as in the
files that `seg-data split` writes.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from runtime.core.errors import AnnotationError, DataError, printable
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict
from runtime.data.defects import Action, Defect
from runtime.data.images import SUFFIXES
from runtime.data.layouts import (
    ROBOFLOW_FILE as ROBOFLOW_FILE,
    SPLIT_NAMES,
    SplitPlace,
    find_splits,
    names_of,
)
from runtime.data.mask_files import MaskFolder, is_mask_pattern
from runtime.data.samples import Sample, sound_categories
from runtime.data.split_reader import SplitReader
from runtime.data.volumes.dicom_files import is_dicom_file
from runtime.data.volumes.nifti import is_nifti
from runtime.data.volumes.spec import VolumeSpec

IMAGE_ROOT, MASK_PATTERN, VOLUMES = "image_root", "mask_pattern", "volumes"
"""Fields of a COCO file's `info`: the folder of its images, where their masks are as files of their
own, and how slices of volumes became images."""
EMPTY_MASKS = "empty_masks"
"""Field of a COCO file's `info`: true if an image without an annotation has an empty mask."""
_LOOKED_AT = 1000
"""Most files of a folder without annotations that are looked at."""


@dataclass(frozen=True, slots=True)
class Split:
    """The samples of one split, in the order of its COCO file, and its defects.

    Attributes:
        image_root: folder of the other data set that holds the images; None where they lie in this
            data set.
        known_categories: names of the categories that the COCO file lists.
        categories: names of the categories that are foreground; empty for all.
        volumes: how the images were made of volumes; None where they were not.
        mask_pattern: where the masks are, of an imported folder of pictures and masks; None for
            the usual places (`runtime.data.mask_files`).
        empty_masks: true if images without an annotation have an empty mask, as the COCO file says;
            otherwise the annotation may be missing.
    """

    name: str
    annotation_file: Path
    samples: tuple[Sample, ...]
    license: str | None
    defects: tuple[Defect, ...]
    image_root: Path | None = None
    known_categories: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    volumes: VolumeSpec | None = None
    mask_pattern: str | None = None
    empty_masks: bool = False

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {len(self.samples)} images, {str(self.annotation_file)!r})"

    @property
    def annotations(self) -> dict[str, int]:
        """The number of annotations of each category."""
        names = (a.category or "unknown" for s in self.samples for a in s.annotations)
        return dict(Counter(names).most_common())

    def only(self, categories: Sequence[str]) -> "Split":
        """Return the split with the annotations of some categories; all where none is named.

        Raises:
            DataError: the COCO file does not list one of the categories.
        """
        if not categories:
            return self
        for name in categories:
            if name not in self.known_categories:
                known = ", ".join(printable(known) for known in self.known_categories)
                raise DataError(
                    f"{self.annotation_file}: no category {name!r}; the categories are {known}"
                )
        chosen = tuple(
            replace(s, annotations=tuple(a for a in s.annotations if a.category in categories))
            for s in self.samples
        )
        return replace(self, samples=chosen, categories=tuple(categories))

    def with_intensity(self, intensity: int | None) -> "Split":
        """Return the split with another white level of 16-bit images (`Sample.intensity`)."""
        samples = tuple(replace(sample, intensity=intensity) for sample in self.samples)
        return replace(self, samples=samples)


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
            self._read[name] = _read_split(name, self._places[name], self._intensity)
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


def image_folders(root: Path) -> tuple[Path, ...]:
    """Return the folders in which a data set's COCO files look for their images."""
    return tuple(place.images for place in find_splits(root).values())


def _read_split(name: str, place: SplitPlace, intensity: int | None) -> Split:
    path = place.file
    if place.ambiguous:
        files = names_of([path, *place.others])
        problem = f"several files for the split {name!r}, {files}; keep one of them"
        defect = Defect(name, path.name, None, problem, Action.REFUSED)
        return Split(name, path, (), None, (defect,))
    content = read_json(path, error=AnnotationError)
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise AnnotationError(f"{path}: not a COCO file, because it has no list {key!r}")
        if not all(isinstance(entry, dict) for entry in content[key]):
            raise AnnotationError(f"{path}: the list {key!r} has entries that are not objects")
    elsewhere = _image_root(path, content)
    # The splits of a data set may be links to other places, here as where it is read itself.
    links = image_folders(elsewhere) if elsewhere else ()
    empty_masks = _info(content).get(EMPTY_MASKS) is True
    images = elsewhere or place.images
    reader = SplitReader(name, path, images, links, intensity=intensity, empty_masks=empty_masks)
    for other in place.others:
        also = f"also {other.name}, a file for the same split"
        reader.defects.note(
            path.name, also, Action.NOT_READ, reason="another file for the same split"
        )
    samples = reader.read(content)
    categories = tuple(str(c.get("name", c["id"])) for c in sound_categories(content))
    return Split(
        name=name,
        annotation_file=path,
        samples=samples,
        license=_license(content),
        defects=tuple(reader.defects.found),
        image_root=elsewhere,
        known_categories=categories,
        volumes=_volumes(path, _info(content)),
        mask_pattern=_mask_pattern(path, _info(content)),
        empty_masks=empty_masks,
    )


def _image_root(path: Path, content: dict[str, Any]) -> Path | None:
    """Return the folder that a COCO file names for its images, if it names one.

    A file of unknown origin could name any folder, so only the folder of a data set is accepted:
    one with COCO files, or one with masks of the images.
    """
    info = _info(content)
    name = info.get(IMAGE_ROOT)
    if name is None:
        return None
    folder = Path(os.path.normpath(path.parent / name)) if isinstance(name, str) else None
    try:
        known = folder is not None and (
            bool(image_folders(folder)) or _has_masks(folder, content, _mask_pattern(path, info))
        )
    except (OSError, ValueError):
        known = False
    if folder is None or not known:
        raise AnnotationError(
            f"{path}: its images are in the data set {str(name)[:200]!r} ({IMAGE_ROOT}), which is "
            f"not there; if it moved, run `seg-data locate {path.parent.parent} --images DIR`"
        )
    return folder


def _has_masks(folder: Path, content: dict[str, Any], pattern: str | None) -> bool:
    """Return whether a folder has a mask of one of the listed images, as an imported one does."""
    names = (image.get("file_name") for image in content["images"])
    paths = (PurePosixPath(name) for name in names if isinstance(name, str))
    masks = MaskFolder(folder, pattern)
    return any(
        not path.is_absolute() and ".." not in path.parts and masks.masks_of(path) != ()
        for path in paths
    )


def _info(content: dict[str, Any]) -> dict[str, Any]:
    info = content.get("info")
    return info if isinstance(info, dict) else {}


def _mask_pattern(path: Path, info: dict[str, Any]) -> str | None:
    pattern = info.get(MASK_PATTERN)
    if pattern is None or (isinstance(pattern, str) and is_mask_pattern(pattern)):
        return pattern
    raise AnnotationError(
        f"{path}: expected a pattern with {{name}}, found {printable(pattern, 80)}"
    )


def _volumes(path: Path, info: dict[str, Any]) -> VolumeSpec | None:
    """Return how a COCO file's images were made of volumes, if it says so."""
    if info.get(VOLUMES) is None:
        return None
    where = f"{path}: {VOLUMES}"
    return from_dict(VolumeSpec, info[VOLUMES], where=where, error=AnnotationError)


def _license(content: dict[str, Any]) -> str | None:
    licenses = content.get("licenses")
    first = licenses[0] if isinstance(licenses, list) and licenses else None
    name = first.get("name") if isinstance(first, dict) else None
    return name if isinstance(name, str) and name else None
