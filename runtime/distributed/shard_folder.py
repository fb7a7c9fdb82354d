"""A folder that all workers of a command share: images in shards, and a part for each shard."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_PART = re.compile(r"part-([0-9]+)-([0-9]+)\.json")


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """The files of numbered images in shards, and those of finished parts.

    Nothing in it is ever replaced by other content, so any number of workers may write to it, and
    any may be killed.
    """

    path: Path

    def part_file(self, start: int, stop: int) -> Path:
        """Return the file of the part of the images from `start` to `stop`, exclusively."""
        return self.path / f"part-{start}-{stop}.json"

    def parts(self) -> list[Path]:
        """Return the files of all finished parts, in the order of their images."""
        return [path for _, path in sorted(self._ranges())]

    def missing(self, images: int, shard_size: int) -> Iterator[tuple[int, int]]:
        """Yield start and stop of the images without a part, shard by shard."""
        done = sorted(bounds for bounds, _ in self._ranges())
        known = [(0, 0), *done, (images, images)]
        for (_, start), (stop, _) in pairwise(known):
            while start < stop:
                end = min(stop, start - start % shard_size + shard_size)
                yield start, end
                start = end

    def shard_file(self, start: int) -> Path:
        """Return the file that lists the images of the shard that begins with `start`."""
        return self.path / f"images-{start}.json"

    def shard_files(self) -> list[Path]:
        """Return the files that list images, in their order."""
        numbers = (int(file.stem.split("-")[1]) for file in self.path.glob("images-*.json"))
        return [self.shard_file(start) for start in sorted(numbers)]

    def _ranges(self) -> Iterator[tuple[tuple[int, int], Path]]:
        for path in self.path.iterdir():
            found = _PART.fullmatch(path.name)
            if found:
                yield (int(found[1]), int(found[2])), path
