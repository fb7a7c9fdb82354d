"""Pictures with masks in files of their own: which file is the mask of which picture.

The mask of `scan7.tif` is `scan7_mask.tif` beside it (also `_seg`, `_segmentation`, `_label` or
`_gt`, with any ending of a picture). Or it has one of these names, or the picture's name, in a
folder `masks` (also `labels`, `segmentations`, ...) in the place of a folder `images`. Further
masks `scan7_mask_1.png`, `scan7_mask_2.png`, ... belong to the same picture. A pattern replaces
these rules: the mask's path relative to the picture's folder, with `{name}`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from runtime.core.errors import ConfigError
from runtime.data.images import SUFFIXES

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "scans")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "segmentations", "annotations", "gt")
_ENDINGS = ("_mask", "_seg", "_segmentation", "_label", "_labels", "_gt")
_MASK_NAME = re.compile(rf".+({'|'.join(_ENDINGS)})(_\d+)?", re.IGNORECASE)
_NAME = "{name}"


def is_mask_pattern(text: str) -> bool:
    """Return whether a text is the pattern of a mask: its file's name has "{name}".

    Example:
        >>> is_mask_pattern("../masks/{name}.png"), is_mask_pattern("masks.png")
        (True, False)
    """
    return _NAME in PurePosixPath(text).name


class MaskFolder:
    """The pictures and masks below a folder; each folder is listed once.

    Args:
        root: the folder.
        pattern: the path of a mask, relative to its picture's folder, such as
            "../masks/{name}_m.png"; without an ending, every ending of a picture counts.

    Raises:
        ConfigError: the pattern lacks "{name}".

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as name:
        ...     for file in ("a.tif", "a_mask.tif", "b.tif"):
        ...         (Path(name) / file).touch()
        ...     folder = MaskFolder(Path(name))
        ...     [str(mask) for mask in folder.masks_of(PurePosixPath("a.tif"))]
        ['a_mask.tif']
    """

    def __init__(self, root: Path, pattern: str | None = None) -> None:
        if pattern is not None and not is_mask_pattern(pattern):
            raise ConfigError(f"mask_pattern: expected {_NAME} in the file's name, found {pattern}")
        self.root = root
        self.pattern = pattern
        self._listed: dict[PurePosixPath, dict[str, list[str]]] = {}

    def pictures(self) -> Iterator[PurePosixPath]:
        """Yield all picture files below the folder, masks included, relative to it, in order."""
        for place, folders, _ in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            folder = PurePosixPath(Path(place).relative_to(self.root).as_posix())
            names = (name for files in self._files(folder).values() for name in files)
            yield from (folder / name for name in sorted(names))

    def masks_of(self, picture: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """Return the masks of a picture; empty where there are none."""
        for folder, stem in self._places(picture):
            for found in self._named(folder, stem):
                if found == picture:
                    continue
                more: list[PurePosixPath] = []
                while next_one := self._named(folder, f"{stem}_{len(more) + 1}"):
                    more.append(next_one[0])
                return (found, *more)
        first = [self._named(folder, f"{stem}_1") for folder, stem in self._places(picture)]
        return next((tuple(files) for files in first if files), ())

    def is_mask_name(self, path: PurePosixPath) -> bool:
        """Return whether a file is named as a mask is, whether or not there is a picture."""
        if self.pattern is None:
            in_masks = any(part.lower() in MASK_FOLDERS for part in path.parts[:-1])
            return in_masks or _MASK_NAME.fullmatch(path.stem) is not None
        pattern = PurePosixPath(self.pattern)
        before, _, after = pattern.name.partition(_NAME)
        name = path.name if pattern.suffix else path.stem
        named = name.startswith(before) and name.endswith(after) and len(name) > len(before + after)
        folder = pattern.parent.name
        return named and folder in ("", "..", path.parent.name)

    def has_pairs(self) -> bool:
        """Return whether a picture has a mask."""
        return any(not self.is_mask_name(path) and self.masks_of(path) for path in self.pictures())

    def _places(self, picture: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
        """Yield folder and name without ending of each file that may be a picture's mask."""
        if self.pattern is not None:
            place = os.path.normpath(picture.parent / self.pattern.replace(_NAME, picture.stem))
            path = PurePosixPath(Path(place).as_posix())
            if path.parts[0] != "..":
                yield path.parent, path.name if PurePosixPath(self.pattern).suffix else path.stem
            return
        for ending in _ENDINGS:
            yield picture.parent, picture.stem + ending
        parts = picture.parent.parts
        for index, part in enumerate(parts):
            if part.lower() in IMAGE_FOLDERS:
                for folder in MASK_FOLDERS:
                    place_of_masks = PurePosixPath(*parts[:index], folder, *parts[index + 1 :])
                    for ending in ("", *_ENDINGS):
                        yield place_of_masks, picture.stem + ending

    def _named(self, folder: PurePosixPath, name: str) -> list[PurePosixPath]:
        """Return the pictures in a folder with a name, with or without its ending."""
        files = self._files(folder)
        return [folder / found for found in files.get(name, [])] or [
            folder / found for found in files.get(PurePosixPath(name).stem, []) if found == name
        ]

    def _files(self, folder: PurePosixPath) -> dict[str, list[str]]:
        """Return the picture files of a folder by their names without endings."""
        if folder not in self._listed:
            listed: dict[str, list[str]] = {}
            try:
                names = sorted(entry.name for entry in os.scandir(self.root / folder))
            except OSError:
                names = []
            for name in names:
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    listed.setdefault(PurePosixPath(name).stem, []).append(name)
            self._listed[folder] = listed
        return self._listed[folder]
