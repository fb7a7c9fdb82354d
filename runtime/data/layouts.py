"""Where the files of a COCO data set lie: the annotation files of its splits, and its images.

Roboflow's layout has `train/_annotations.coco.json` next to the images. The plain one has
`annotations/instances_train.json`, and the images in `train/`, `images/train/` or `images/`.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from runtime.core.files import confined

ROBOFLOW_FILE = "_annotations.coco.json"
SPLIT_NAMES = {
    "train": ("train",),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test",),
}
"""The names of each split in folders and files, in any letter case."""

_NO_INSTANCES = ("captions_", "person_keypoints_", "image_info_", "panoptic_")
"""Beginnings of the names of COCO's other files, which have no masks."""
_EXACT, _ALIAS, _BEGINNING = range(3)


@dataclass(frozen=True, slots=True)
class SplitPlace:
    """The annotation file of a split, and the folder of its images.

    Attributes:
        others: annotation files that also have the split's name, and are not read.
        ambiguous: true where no name among these files is better than the others.
    """

    file: Path
    images: Path
    others: tuple[Path, ...] = ()
    ambiguous: bool = False


def find_splits(folder: Path) -> dict[str, SplitPlace]:
    """Return the places of a data set's splits by name: train, valid, test, and then others.

    Where two files have one split's name, the exact name wins ("train" over "train2017", "valid"
    over "val"). Files of captions, keypoints or mere images are passed over.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as name:
        ...     for split in ("Test", "train", "val"):
        ...         (Path(name) / split).mkdir()
        ...         _ = (Path(name) / split / ROBOFLOW_FILE).write_text("{}")
        ...     list(find_splits(Path(name)))
        ['train', 'valid', 'test']
    """
    candidates: dict[str, list[tuple[int, SplitPlace]]] = {}
    folders = _roboflow_places(folder)
    for label, place in folders or _plain_places(folder):
        # A folder "train_2" is a split of its own; a file "instances_train2017" is the train split.
        name, rank = _split_of(label, beginnings=not folders)
        candidates.setdefault(name, []).append((rank, place))
    order = sorted(candidates, key=lambda name: (*SPLIT_NAMES, name).index(name))
    return {name: _choose(candidates[name]) for name in order}


def _roboflow_places(folder: Path) -> list[tuple[str, SplitPlace]]:
    files = sorted(folder.glob(f"*/{ROBOFLOW_FILE}"))
    return [(file.parent.name, SplitPlace(file, file.parent)) for file in files]


def _plain_places(folder: Path) -> list[tuple[str, SplitPlace]]:
    places = []
    for file in sorted((folder / "annotations").glob("*.json")):
        if file.name.startswith((*_NO_INSTANCES, ".")):
            continue
        label = re.sub(r"^(instances|annotations)_", "", file.stem)
        candidates = (folder / label, folder / "images" / label, folder / "images", folder)
        images = next(candidate for candidate in candidates if candidate.is_dir())
        places.append((label, SplitPlace(file, images)))
    return places


def _split_of(label: str, *, beginnings: bool) -> tuple[str, int]:
    """Return the split that a folder or file is named after, and how well: 0 is best."""
    lowered = label.lower()
    for name, aliases in SPLIT_NAMES.items():
        if lowered == name:
            return name, _EXACT
        if lowered in aliases:
            return name, _ALIAS
    for name, aliases in SPLIT_NAMES.items() if beginnings else ():
        if lowered.startswith(aliases):
            return name, _BEGINNING
    return label, _EXACT


def _choose(candidates: list[tuple[int, SplitPlace]]) -> SplitPlace:
    best = min(rank for rank, _ in candidates)
    chosen = [place for rank, place in candidates if rank == best]
    others = tuple(place.file for _, place in candidates if place is not chosen[0])
    return SplitPlace(chosen[0].file, chosen[0].images, others, ambiguous=len(chosen) > 1)


class ImageFolder:
    """The folder of a split's images, in which files are found by the names in a COCO file.

    Args:
        folder: the names are relative to it.
        links: folders that a link in `folder` may lead to.
    """

    def __init__(self, folder: Path, links: tuple[Path, ...] = ()) -> None:
        self.folder = folder
        self.links = links
        self._spellings: dict[str, list[str]] | None = None

    def find(self, name: str) -> Path:
        """Return the path of an image.

        Where there is no such file, a file whose name differs in its spelling is taken: back
        slashes, composed or decomposed accents, `%20` for a space, the letter case of the ending.

        Raises:
            DataError: `name` is absolute, empty, or leads out of the folder.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as name:
            ...     (Path(name) / "a b.PNG").touch()
            ...     ImageFolder(Path(name)).find("a%20b.png").name
            'a b.PNG'
        """
        path = confined(self.folder, name, links=self.links)
        if is_file(path):
            return path
        if self._spellings is None:
            self._spellings = {}
            for found in _files_below(self.folder):
                self._spellings.setdefault(_plain_spelling(found), []).append(found)
        alike = self._spellings.get(_plain_spelling(name), [])
        return confined(self.folder, alike[0], links=self.links) if len(alike) == 1 else path


def is_file(path: Path) -> bool:
    """Return whether there is a regular file; names of any length are allowed."""
    return os.path.isfile(path)  # noqa: PTH113, is_file() raises on a name that is too long


def _files_below(folder: Path) -> Iterator[str]:
    for place, _, files in os.walk(folder):
        for file in files:
            yield (Path(place) / file).relative_to(folder).as_posix()


def _plain_spelling(name: str) -> str:
    path = PurePosixPath(unicodedata.normalize("NFC", unquote(name.replace("\\", "/"))))
    return path.as_posix().removesuffix(path.suffix) + path.suffix.lower()


def names_of(paths: Iterable[Path]) -> str:
    """Return the names of files as a list in words.

    Example:
        >>> names_of([Path("a/b.json"), Path("a/c.json")])
        'b.json and c.json'
    """
    *first, last = [path.name for path in paths]
    return f"{', '.join(first)} and {last}" if first else last
