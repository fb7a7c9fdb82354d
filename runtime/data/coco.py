"""Reading a COCO data set: its splits, their images and annotations, and their fingerprint.

The format is https://cocodataset.org/#format-data, in two layouts. Roboflow's has
`train/_annotations.coco.json` next to the images. The plain one has
`annotations/instances_train.json`, and the images in `train/`, `images/train/` or `images/`.
Annotations of every category are foreground.

The images may also lie in the folder of another data set that `info.image_root` names, as in the
files that `seg-data split` writes.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runtime.core.errors import AnnotationError, DataError, ImageError
from runtime.core.files import read_bytes
from runtime.core.json_files import MAX_JSON_BYTES, read_json
from runtime.data.images import MAX_FILE_BYTES
from runtime.data.samples import Defect, Sample, SplitReader

ROBOFLOW_FILE = "_annotations.coco.json"
IMAGE_ROOT = "image_root"
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """The samples of one split, in the order of its COCO file, and its defects.

    Attributes:
        image_root: folder of the other data set that holds the images; None where they lie in this
            data set.
    """

    name: str
    annotation_file: Path
    samples: tuple[Sample, ...]
    license: str | None
    defects: tuple[Defect, ...]
    image_root: Path | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set: its folder, and its splits by name ("train", "valid", "test" or other names)."""

    root: Path
    splits: Mapping[str, Split]

    @property
    def files(self) -> Iterator[Path]:
        """The COCO files, and the images that they list."""
        for split in self.splits.values():
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
        """Return a split that is free of fatal defects.

        Args:
            allow_missing: accept a split with missing images, for `runtime.readable_part` to skip.

        Raises:
            DataError: there is no such split, it has no images, or it has a fatal defect.
        """
        if name not in self.splits:
            alone = len(self.splits) == 1
            raise DataError(
                f"{self.root}: no split {name!r}; the splits are {', '.join(self.splits)}"
                + ("; `seg-data split --shares 70/15/15` makes three of it" if alone else "")
            )
        split = self.splits[name]
        for defect in split.defects:
            if defect.fatal and not (allow_missing and defect.missing):
                raise AnnotationError(f"{split.annotation_file}: {defect}")
        if not split.samples:
            raise DataError(f"{split.annotation_file}: no images")
        return split


def read_dataset(root: str | Path) -> Dataset:
    """Read the COCO files of a data set; images are not opened.

    Raises:
        DataError: `root` is not a folder in one of the two layouts.
        AnnotationError: a COCO file is not JSON, or lacks `images` or `annotations`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from runtime.data.phantom import PhantomConfig, make_phantom
        >>> with TemporaryDirectory() as folder:
        ...     config = PhantomConfig(train=2, valid=1, test=1, slices=1, size=32)
        ...     dataset = read_dataset(make_phantom(folder, config))
        >>> [sample.file_name for sample in dataset.split("train").samples]
        ['person000_slice0.png', 'person001_slice0.png']
        >>> dataset.license
        'CC0 1.0'
    """
    folder = Path(root)
    if not os.path.isdir(folder):  # noqa: PTH112, is_dir() raises on a name that is too long
        raise DataError(f"{folder}: no such folder")
    places = _roboflow_places(folder) or _plain_places(folder)
    if not places:
        raise DataError(
            f"{folder}: not a COCO data set, which has train|valid|test/{ROBOFLOW_FILE} or "
            "annotations/*.json"
        )
    splits = {name: _read_split(name, *place) for name, place in places.items()}
    return Dataset(folder, MappingProxyType(splits))


def image_folders(root: Path) -> tuple[Path, ...]:
    """Return the folders in which a data set's COCO files look for their images."""
    places = _roboflow_places(root) or _plain_places(root)
    return tuple(images for _, images in places.values())


def _roboflow_places(folder: Path) -> dict[str, tuple[Path, Path]]:
    paths = {path.parent.name: path for path in sorted(folder.glob(f"*/{ROBOFLOW_FILE}"))}
    return {name: (paths[name], paths[name].parent) for name in _usual_first(paths)}


def _plain_places(folder: Path) -> dict[str, tuple[Path, Path]]:
    places = {}
    for path in sorted((folder / "annotations").glob("*.json")):
        stem = re.sub(r"^(instances|annotations)_", "", path.stem)
        candidates = (folder / stem, folder / "images" / stem, folder / "images", folder)
        images = next(candidate for candidate in candidates if candidate.is_dir())
        places[_split_name(stem)] = (path, images)
    return {name: places[name] for name in _usual_first(places)}


def _usual_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (*_SPLITS, name).index(name))


def _split_name(stem: str) -> str:
    for prefix, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        if stem.startswith(prefix):
            return name
    return stem


def _read_split(name: str, path: Path, images: Path) -> Split:
    content = read_json(path, error=AnnotationError)
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise AnnotationError(f"{path}: not a COCO file, because it has no list {key!r}")
        if not all(isinstance(entry, dict) for entry in content[key]):
            raise AnnotationError(f"{path}: the list {key!r} contains something else than objects")
    elsewhere = _image_root(path, content)
    # The splits of a data set may be links to other places, here as where it is read itself.
    links = image_folders(elsewhere) if elsewhere else ()
    reader = SplitReader(name, path, elsewhere or images, links)
    samples = reader.read(content)
    return Split(name, path, samples, _license(content), tuple(reader.defects), elsewhere)


def _image_root(path: Path, content: dict[str, Any]) -> Path | None:
    """Return the folder that a COCO file names for its images, if it names one.

    A file of unknown origin could name any folder, so only the folder of a data set is accepted.
    """
    info = content.get("info")
    name = info.get(IMAGE_ROOT) if isinstance(info, dict) else None
    if name is None:
        return None
    folder = Path(os.path.normpath(path.parent / name)) if isinstance(name, str) else None
    try:
        known = folder is not None and bool(image_folders(folder))
    except (OSError, ValueError):
        known = False
    if folder is None or not known:
        raise AnnotationError(
            f"{path}: its images are in the data set {str(name)[:200]!r} ({IMAGE_ROOT}), which is "
            f"not there; if it moved, run `seg-data locate {path.parent.parent} --images DIR`"
        )
    return folder


def _license(content: dict[str, Any]) -> str | None:
    licenses = content.get("licenses")
    first = licenses[0] if isinstance(licenses, list) and licenses else None
    name = first.get("name") if isinstance(first, dict) else None
    return name if isinstance(name, str) and name else None


def manifest_sha256(splits: Iterable[Split]) -> str:
    """Return the fingerprint of splits: the SHA-256 over their manifest, in hexadecimal.

    The manifest has one line for each COCO file, followed by one line for each of its images in the
    file's order. A line holds split, name, and the SHA-256 of the file's bytes, separated by tabs.
    Where a COCO file refers to images elsewhere, `info` is excluded from its hash, since it depends
    on the place of the file.

    Raises:
        AnnotationError, ImageError: a file cannot be read.
    """
    manifest = hashlib.sha256()
    for split in splits:
        coco = read_bytes(split.annotation_file, limit=MAX_JSON_BYTES, error=AnnotationError)
        if split.image_root is not None:
            content = json.loads(coco)
            content.pop("info")
            coco = json.dumps(content, sort_keys=True).encode()
        manifest.update(_line(split.name, split.annotation_file.name, coco))
        for sample in split.samples:
            content = read_bytes(sample.path, limit=MAX_FILE_BYTES, error=ImageError)
            manifest.update(_line(split.name, sample.file_name, content))
    return manifest.hexdigest()


def _line(split: str, name: str, content: bytes) -> bytes:
    return f"{split}\t{name}\t{hashlib.sha256(content).hexdigest()}\n".encode()
