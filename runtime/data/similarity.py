"""Finding images that show nearly the same, and the groups that they form.

Nothing in a COCO file says which images belong to one patient. Two signs do: two images look alike,
or their file names carry neighboring slice numbers and they look similar. Two such images are
linked. A group holds all images that a chain of links connects.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError, DataError
from runtime.core.machine import available_cores
from runtime.core.workers import map_ahead
from runtime.data.images import Size, load_scan
from runtime.data.samples import Sample

THUMBNAIL: Size = (32, 32)
MAX_LINKS = 1_000_000
_BLOCK = 1024
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LinkRule:
    """The rule by which two images are linked.

    Attributes:
        correlation: smallest correlation of the 32x32 gray versions that links any two images.
        slices: largest distance between the slice numbers of two near slices.
        slice_correlation: smallest correlation that links two near slices. Between two heads, or
            two viewing directions, consecutive numbers correlate less than this.

    Raises:
        ConfigError: a correlation is not in (0, 1], or `slices` is negative.

    Example:
        >>> LinkRule(correlation=1.5)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: correlation: expected a value in (0, 1], found 1.5
    """

    correlation: float = 0.97
    slices: int = 2
    slice_correlation: float = 0.8

    def __post_init__(self) -> None:
        for name in ("correlation", "slice_correlation"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(
                    f"{name}: expected a value in (0, 1], found {getattr(self, name)}"
                )
        if self.slices < 0:
            raise ConfigError(f"slices: expected 0 or more, found {self.slices}")


@dataclass(frozen=True, slots=True)
class Link:
    """Two linked images.

    Attributes:
        first, second: their positions in the sequence of images, `first` being the lower.
        correlation: of their 32x32 gray versions, in [-1, 1].
        slices_apart: distance of their slice numbers; None where they belong to different series
            or have no number.
    """

    first: int
    second: int
    correlation: float
    slices_apart: int | None


def find_links(samples: Sequence[Sample], rule: LinkRule, *, where: str) -> tuple[Link, ...]:
    """Return the linked pairs of images, the most similar first.

    Correlations are products of matrices, a block of images against all others at a time. Time
    grows with the square of the number of images (half a second for 10000), memory linearly.

    Args:
        where: name of the data set, for messages.

    Raises:
        ImageError: an image cannot be read.
        DataError: there are more than a million links.
    """
    units = thumbnails(samples)
    numbers = [slice_number(sample.file_name) for sample in samples]
    pairs = _alike(units, rule.correlation, where)
    pairs |= {
        pair
        for pair in _near_slices(numbers, rule.slices)
        if _correlation(units, pair) >= rule.slice_correlation
    }
    links = [
        Link(*pair, _correlation(units, pair), _distance(numbers[pair[0]], numbers[pair[1]]))
        for pair in pairs
    ]
    return tuple(sorted(links, key=lambda link: (-link.correlation, link.first, link.second)))


def connected_groups(count: int, links: Sequence[Link]) -> list[int]:
    """Return the group number of each of `count` images, by union-find over the links.

    Groups are numbered from 0 by falling size; groups of equal size by their first image.

    Example:
        >>> connected_groups(5, [Link(1, 3, 0.98, None), Link(3, 4, 0.99, 1)])
        [1, 0, 2, 0, 0]
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for link in links:
        low, high = sorted((root(link.first), root(link.second)))
        parent[high] = low
    roots = np.array([root(index) for index in range(count)])
    sizes = np.bincount(roots, minlength=count)
    by_size = sorted(set(roots.tolist()), key=lambda r: (-sizes[r], r))
    number = {r: position for position, r in enumerate(by_size)}
    return [number[r] for r in roots.tolist()]


def slice_number(file_name: str) -> tuple[str, int | None]:
    """Return the series and the slice number that a file name states.

    The slice number is the last number of the name, the series is the text before it. The suffix
    that Roboflow appends and the folder of a split belong to neither.

    Example:
        >>> slice_number("person01_slice3.png")
        ('person01_slice', 3)
        >>> slice_number("train/2369_jpg.rf.8b8afa9d.jpg")
        ('', 2369)
        >>> slice_number("brain.png")
        ('brain', None)
    """
    stem = re.sub(r"_[A-Za-z]+\.rf\.[0-9A-Za-z]+$", "", file_name.rpartition(".")[0] or file_name)
    stem = re.sub(r"^(images/)?(train|valid|val|test)/", "", stem)
    match = re.fullmatch(r"(.*?)(\d{1,9})\D*", stem, re.DOTALL)
    return (match[1], int(match[2])) if match else (stem, None)


def thumbnails(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return 32x32 gray versions as unit vectors, float32 [samples, 1024].

    The scalar product of two rows is the correlation of the two images, in [-1, 1].

    Raises:
        ImageError: an image cannot be read.
    """
    return np.stack(list(iter_thumbnails(samples)))


def iter_thumbnails(samples: Sequence[Sample]) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of `thumbnails` one by one, in memory that does not grow.

    The row of an image with a single gray level is zero: it correlates with nothing.

    Raises:
        ImageError: an image cannot be read.
    """

    def thumbnail(sample: Sample) -> NDArray[np.float32]:
        gray = load_scan(sample.path, THUMBNAIL).pixels.mean(axis=2, dtype=np.float32).ravel()
        centered = gray - gray.mean()
        unit: NDArray[np.float32] = centered / max(float(np.linalg.norm(centered)), 1e-12)
        return unit

    cores = available_cores()
    return map_ahead(thumbnail, samples, workers=cores, ahead=8 * cores)


def _correlation(units: NDArray[np.float32], pair: Pair) -> float:
    return float(np.dot(units[pair[0]], units[pair[1]]))


def _distance(first: tuple[str, int | None], second: tuple[str, int | None]) -> int | None:
    if first[1] is None or second[1] is None or first[0] != second[0]:
        return None
    return abs(first[1] - second[1])


def _alike(units: NDArray[np.float32], limit: float, where: str) -> set[Pair]:
    """Return the pairs that correlate by `limit` or more, the lower index first."""
    pairs: set[Pair] = set()
    for start in range(0, len(units), _BLOCK):
        # Only columns right of the block's own diagonal, so that each pair is met once.
        products = units[start : start + _BLOCK] @ units[start:].T
        rows, columns = np.nonzero(np.triu(products >= limit, k=1))
        if len(pairs) + len(rows) > MAX_LINKS:
            raise DataError(
                f"{where}: more than {MAX_LINKS} pairs of images correlate by {limit} or more; "
                "give a higher --correlation"
            )
        pairs.update(zip((rows + start).tolist(), (columns + start).tolist(), strict=True))
    return pairs


def _near_slices(numbers: list[tuple[str, int | None]], apart: int) -> Iterator[Pair]:
    """Yield the pairs of one series whose numbers differ by at most `apart`."""
    numbered = sorted((s, n, index) for index, (s, n) in enumerate(numbers) if n is not None)
    for _, series in groupby(numbered, key=lambda entry: entry[0]):
        entries = list(series)
        for position, (_, number, index) in enumerate(entries):
            for _, later, other in entries[position + 1 :]:
                if later - number > apart:
                    break
                yield min(index, other), max(index, other)
