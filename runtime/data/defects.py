"""The defects of a data set, with the action that every command takes on each."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runtime.core.errors import AnnotationError, printable

MAX_DEFECTS = 100_000
"""Most defects of a COCO file that are listed; a file with more is refused."""


class Action(StrEnum):
    """The action that every command takes on a defect, as it is displayed."""

    REFUSED = "refused"
    """A command that needs the split stops."""
    DROPPED = "dropped"
    """The annotation, or the part of it that the problem names, is not used."""
    CLIPPED = "clipped"
    """The part outside the image is not used."""
    USED = "used"
    USED_AS_STATED = "used as stated"
    USED_AS_FOREGROUND = "used as foreground"
    USED_WITH_DERIVED_BOX = "used, with the box of its segmentation"
    USED_WITH_OTHER_SPELLING = "used under that name"
    NOT_READ = "not read"
    SKIPPED = "skipped"
    """The image is not imported."""
    USED_WITH_EMPTY_MASK = "used, with an empty mask"
    USED_WITH_SCALED_BOXES = "used, with scaled boxes"
    USED_FOR_BOXES = "refused with --masks segmentation, used with --masks boxes"


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong in a data set, and the action taken on it.

    Attributes:
        where: file name of the image or of the COCO file.
        annotation: id of the annotation with the defect; None where it concerns no annotation.
        problem: a description of the defect.
        missing: true where the image file does not exist.
        reason: the kind of defect, without the values in `problem`; defects of one reason are
            counted together in the notes of every command (`runtime.data.targets`).

    Example:
        >>> defect = Defect("train", "a.png", "7", "a box outside the image", Action.DROPPED)
        >>> print(f"{defect}; {defect.action}")
        a.png, annotation 7: a box outside the image; dropped
        >>> defect.fatal
        False
    """

    split: str
    where: str
    annotation: str | None
    problem: str
    action: Action
    missing: bool = False
    reason: str = ""

    @property
    def fatal(self) -> bool:
        """True where a command that needs the split stops."""
        return self.action is Action.REFUSED

    @property
    def place(self) -> str:
        """The image or file, and the annotation."""
        return (
            self.where if self.annotation is None else f"{self.where}, annotation {self.annotation}"
        )

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class DefectList:
    """The defects of one COCO file.

    Args:
        split: name of the split.
        path: the COCO file.
    """

    def __init__(self, split: str, path: Path) -> None:
        self.split = split
        self.path = path
        self.found: list[Defect] = []

    def note(
        self,
        where: str,
        problem: str,
        action: Action,
        annotation: object = None,
        *,
        reason: str = "",
        missing: bool = False,
    ) -> None:
        """Add a defect; `reason` is the problem without its values, where it has any."""
        if len(self.found) >= MAX_DEFECTS:
            raise AnnotationError(f"{self.path}: more than {MAX_DEFECTS} defects in one COCO file")
        identity = None if annotation is None else printable(annotation, 40)
        self.found.append(
            Defect(
                self.split,
                printable(where, 200),
                identity,
                printable(problem, 400),
                action,
                missing,
                reason or printable(problem, 400),
            )
        )
