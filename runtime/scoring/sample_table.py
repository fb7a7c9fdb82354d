"""The rows of many images, in little memory: what a split of millions of images is kept as."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

import numpy as np

from runtime.metrics import PixelColumns, PixelSums
from runtime.scoring.lesions import LesionCounts
from runtime.scoring.sample_sums import SampleSums
from runtime.scoring.surface import SurfaceScores
from runtime.scoring.trainings import Doubles

_MAX_NUMBER = float(1 << 53)
_PIXELS, _SURFACE, _SIZES = 6, 2, len(LesionCounts().found)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a `SampleTable`: those of the pixels, and of the scores that were asked for.

    Example:
        >>> Columns().number, Columns(surface=True, lesions=True).number
        (6, 26)
    """

    surface: bool = False
    lesions: bool = False

    @property
    def number(self) -> int:
        """How many there are."""
        return _PIXELS + self.surface * _SURFACE + self.lesions * 3 * _SIZES

    def row(self, image: SampleSums) -> Iterator[float]:
        """Yield the numbers of an image."""
        soft, hard = image.soft, image.thresholded
        # Thresholding changes neither the pixels nor the target.
        yield from (soft.pixels, soft.target, soft.predicted, soft.overlap)
        yield from (hard.predicted, hard.overlap)
        if self.surface and image.surface is not None:
            yield from (image.surface.hd95, image.surface.nsd)
        if self.lesions and image.lesions is None:  # they stand in another slice of the volume
            yield from [math.nan] * (3 * _SIZES)
        elif self.lesions and image.lesions is not None:
            yield from (*image.lesions.found, *image.lesions.missed, *image.lesions.false)

    def are_sound(self, row: Sequence[float]) -> bool:
        """Return whether an image may have these numbers, for a row of a file."""
        end = _PIXELS + _SURFACE * self.surface
        pixels, distances, lesions = row[:_PIXELS], row[_PIXELS:end], row[end:]
        known = [each for each in (distances, lesions) if not all(map(math.isnan, each))]
        bounded = all(0.0 <= number < _MAX_NUMBER for number in chain(pixels, *known))
        return len(row) == self.number and bounded and row[0] >= 1.0

    def image(
        self, file: str, patient: str | None, volume: str | None, row: Sequence[float]
    ) -> SampleSums:
        """Return the image that `row` was called for."""
        pixels, target, predicted, overlap, decided, hit = row[:_PIXELS]
        soft = PixelSums(int(pixels), target, predicted, overlap)
        hard = PixelSums(int(pixels), target, decided, hit)
        surface = SurfaceScores(*row[_PIXELS : _PIXELS + _SURFACE]) if self.surface else None
        lesions = None
        if self.lesions and not math.isnan(row[-1]):
            lesions = LesionCounts.of(np.reshape(row[-3 * _SIZES :], (3, _SIZES)))
        return SampleSums(file, soft, hard, patient, surface, lesions, volume)


class SampleTable(Sequence[SampleSums]):
    """The rows of many images, as a sequence that takes 48 bytes and a name for each image.

    Args:
        columns: of `rows`.
        files, patients, volumes: as in `SampleSums`, of each image.
        rows: float64 [images, columns].

    Example:
        >>> image = SampleSums("a.png", PixelSums(4, 2.0, 1.5, 1.0), PixelSums(4, 2.0, 1.0, 1.0))
        >>> table = SampleTable.of([image], Columns())
        >>> table == (image,), table.rows.tolist()
        (True, [[4.0, 2.0, 1.5, 1.0, 1.0, 1.0]])
    """

    def __init__(
        self,
        columns: Columns,
        files: Sequence[str],
        patients: Sequence[str | None],
        volumes: Sequence[str | None],
        rows: Doubles,
    ) -> None:
        owners = len(patients), len(volumes)
        if rows.shape != (len(files), columns.number) or owners != (len(files), len(files)):
            raise ValueError(
                f"expected rows [{len(files)}, {columns.number}], found {list(rows.shape)}, and "
                f"{len(files)} patients and volumes, found {owners[0]} and {owners[1]}"
            )
        self.columns, self.files, self.rows = columns, files, rows
        self.patients, self.volumes = patients, volumes

    @classmethod
    def of(cls, images: Iterable[SampleSums], columns: Columns) -> "SampleTable":
        """Return the table of images, which are taken one by one."""
        files: list[str] = []
        patients: list[str | None] = []
        volumes: list[str | None] = []
        numbers = array("d")
        for image in images:
            files.append(image.file)
            patients.append(image.patient)
            volumes.append(image.volume)
            numbers.extend(columns.row(image))
        rows = np.array(numbers, np.float64).reshape(-1, columns.number)
        return cls(columns, files, patients, volumes, rows)

    @property
    def soft(self) -> PixelColumns:
        """The sums of the probabilities, in views of `rows`."""
        return PixelColumns(*self.rows[:, :4].T)

    @property
    def thresholded(self) -> PixelColumns:
        """The sums of the predicted masks, in views of `rows`."""
        pixels, target, _, _, predicted, overlap = self.rows[:, :_PIXELS].T
        return PixelColumns(pixels, target, predicted, overlap)

    @property
    def surface(self) -> Doubles:
        """The columns hd95 and nsd, float64 [images, 2]; none without surface scores."""
        return self.rows[:, _PIXELS : _PIXELS + _SURFACE * self.columns.surface]

    @property
    def lesions(self) -> Doubles:
        """The found, missed and false lesions of each size, float64 [images, 3, sizes].

        There are no images without scores of lesions. Those of a volume stand in the last of its
        slices, and the others have NaN.
        """
        counts = self.rows[:, -3 * _SIZES :] if self.columns.lesions else np.empty((0, 3 * _SIZES))
        return counts.reshape(-1, 3, _SIZES)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[SampleSums]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> SampleSums: ...

    @overload
    def __getitem__(self, index: slice) -> "SampleTable": ...

    def __getitem__(self, index: int | slice) -> "SampleSums | SampleTable":
        if isinstance(index, slice):
            names = self.files[index], self.patients[index], self.volumes[index]
            return SampleTable(self.columns, *names, self.rows[index])
        row: list[float] = self.rows[index].tolist()
        owners = self.patients[index], self.volumes[index]
        return self.columns.image(self.files[index], *owners, row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))


def as_table(images: Sequence[SampleSums]) -> SampleTable:
    """Return images as a table, with the scores that all of them have."""
    if isinstance(images, SampleTable):
        return images
    surface = all(image.surface is not None for image in images)
    lesions = any(image.lesions is not None for image in images)
    return SampleTable.of(images, Columns(surface, lesions))
