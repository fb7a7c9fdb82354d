"""The folder that the workers of a prediction share: its plan, its images in shards, its parts."""

import hashlib
import json
import shutil
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict, to_dict
from runtime.core.workers import batched
from runtime.distributed.shard_folder import ShardFolder
from runtime.model.image_files import FoundImage, with_own_names
from runtime.model.predict_files import FilePrediction


@dataclass(frozen=True, slots=True)
class PredictionPlan:
    """What a worker must know of a prediction, besides its job.

    Attributes:
        digest: of the network's file.
        versions: of the packages that decide on results.
        images: their number.
        shard_size: images of a shard; the last one may have fewer.
    """

    digest: str
    versions: dict[str, str]
    images: int
    shard_size: int


@dataclass(frozen=True, slots=True)
class PredictionPart:
    """The results of some images, in order.

    Attributes:
        skipped: why each image that cannot be read was skipped.
    """

    written: tuple[FilePrediction, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PredictionFolder(ShardFolder):
    """The files of a prediction in a shared folder."""

    @property
    def plan_file(self) -> Path:
        """The file of the plan."""
        return self.path / "plan.json"

    def plan(self) -> PredictionPlan:
        """Return the plan. Raises DataError."""
        content = read_json(self.plan_file, error=DataError)
        return from_dict(PredictionPlan, content, where=str(self.plan_file), error=DataError)

    def images(self, start: int, stop: int, shard_size: int) -> tuple[FoundImage, ...]:
        """Return the images from `start` to `stop`, exclusively, which are in one shard."""
        first = start - start % shard_size
        return _read_images(self.shard_file(first))[start - first : stop - first]

    def all_images(self) -> Iterator[FoundImage]:
        """Yield all images that are listed. Raises DataError."""
        for path in self.shard_files():
            yield from _read_images(path)

    def list_images(self, images: Iterable[FoundImage], shard_size: int) -> tuple[int, str]:
        """List images in shards, each once and under a name of its own (`with_own_names`).

        They are taken one by one. Only where a file or a name appears twice, all are held in
        memory.

        Returns:
            Their number, and the SHA-256 of the list.
        """
        seen = _Seen()
        found = self._list(seen.watched(images), shard_size)
        if seen.has_repetitions:
            everything = list(self.all_images())
            shutil.rmtree(self.path)
            found = self._list(with_own_names(everything), shard_size)
        return found

    def write_part(self, start: int, stop: int, part: PredictionPart) -> None:
        """Write the results of the images from `start` to `stop`. Raises OutputError."""
        write_text(self.part_file(start, stop), json.dumps(to_dict(part)))

    def read_parts(self) -> Iterator[PredictionPart]:
        """Yield all finished parts, in the order of their images. Raises DataError."""
        for path in self.parts():
            content = read_json(path, error=DataError)
            yield from_dict(PredictionPart, content, where=str(path), error=DataError)

    def _list(self, images: Iterable[FoundImage], shard_size: int) -> tuple[int, str]:
        number, digest = 0, hashlib.sha256()
        for shard in batched(images, shard_size):
            rows = [json.dumps([str(image.path), str(image.name)]) for image in shard]
            write_text(self.shard_file(number), f"[{','.join(rows)}]")
            digest.update("".join(rows).encode())
            number += len(shard)
        return number, digest.hexdigest()


def _read_images(path: Path) -> tuple[FoundImage, ...]:
    content = read_json(path, error=DataError)
    return tuple(FoundImage(Path(image), Path(name)) for image, name in content)


class _Seen:
    """The images that were seen, in 24 bytes for each: hashes that are equal if they are alike."""

    def __init__(self) -> None:
        self._files, self._names, self._places = array("q"), array("q"), array("q")

    def watched(self, images: Iterable[FoundImage]) -> Iterator[FoundImage]:
        """Yield images, and take note of them."""
        for image in images:
            resolved = image.path.resolve()
            self._files.append(hash(str(resolved)))
            self._names.append(hash(str(image.name)))
            self._places.append(hash((str(resolved.parent), image.name.name)))
            yield image

    @property
    def has_repetitions(self) -> bool:
        """True if a file, a name, or a name in one folder appeared twice."""
        return any(
            len(np.unique(np.frombuffer(hashes, np.int64))) < len(hashes)
            for hashes in (self._files, self._names, self._places)
        )


class Predictions:
    """The results of all images, read from the parts whenever they are iterated.

    Attributes:
        skipped: why each image that cannot be read was skipped.

    Raises:
        DataError: a part cannot be read.
    """

    def __init__(self, folder: PredictionFolder) -> None:
        self.skipped: list[str] = []
        self._folder, self._written = folder, 0
        for part in folder.read_parts():
            self.skipped += part.skipped
            self._written += len(part.written)

    def __len__(self) -> int:
        return self._written

    def __iter__(self) -> Iterator[FilePrediction]:
        return (each for part in self._folder.read_parts() for each in part.written)
