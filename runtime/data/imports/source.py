"""Scans with labels in a folder that is no COCO data set yet, as importers find them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import DataError, printable
from runtime.data.defects import Action, Defect
from runtime.data.imports.config import SourceOptions as SourceOptions
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume


class UnusableScanError(DataError):
    """A scan that is skipped.

    Attributes:
        reason: the problem without its values, by which skipped scans are counted.
    """

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(problem)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LabeledScan:
    """A picture or a volume with labels, not yet read.

    Attributes:
        name: unique, relative and without an ending; slices of a volume are written below it.
        open: returns the volume, and its labels on the same grid: whole numbers, 0 for background.
            Of a picture, the volume is None and the labels are one slice. Raises DataError.
        patient: None where the source states none.
        split: of the source; None where it has none.
        picture: the file of a picture, which stays in its place; None for a volume.
    """

    name: str
    open: Callable[[Plane], tuple[Volume | None, Volume]]
    patient: str | None = None
    split: str | None = None
    picture: Path | None = None


@dataclass(frozen=True, slots=True)
class ImportSource:
    """The scans of a folder.

    Attributes:
        root: the folder; pictures lie below it.
        description: of the layout, in words.
        patients: the source of the patients, in words, such as "folders".
        names: of the labels by number, as far as the source states them; None where each mask must
            be binary, as masks in picture files are.
        defects: such as a mask without an image.
        mask_pattern: where the masks of pictures are, if the user says it.
        license: as the source states it.
    """

    root: Path
    description: str
    scans: tuple[LabeledScan, ...]
    patients: str = ""
    names: Mapping[int, str] | None = None
    defects: tuple[Defect, ...] = ()
    mask_pattern: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Importer:
    """A layout of scans with labels.

    Attributes:
        name: in messages.
        recognizes: returns whether a folder has this layout, without any optional package.
        read: finds the scans of a folder; nothing is decoded. Raises DataError,
            MissingExtraError.
    """

    name: str
    recognizes: Callable[[Path, SourceOptions], bool]
    read: Callable[[Path, SourceOptions], ImportSource]


def skipped(where: object, problem: str, *, reason: str = "") -> Defect:
    """Return the defect of a scan that is not imported.

    Args:
        reason: the problem without its values.
    """
    text = printable(problem, 400)
    return Defect("", printable(where, 200), None, text, Action.SKIPPED, False, reason or text)
