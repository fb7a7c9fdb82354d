"""The progress of a long job, as every function that takes a while reports it."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done, total: units of work, such as images, steps or estimated seconds; `total` may change
            while the job runs.
        phase: the part of the job that is running, such as "decode" or "train".
        note: details for people, such as "epoch 3/25, loss 0.1234".
        milestone: True where a larger part has ended, such as an epoch, whose note is worth a line
            in a log.

    Example:
        >>> Progress(done=3, total=12, phase="decode").fraction
        0.25
    """

    done: float
    total: float
    phase: str = ""
    note: str = ""
    milestone: bool = False

    @property
    def fraction(self) -> float:
        """The completed part of the work, in [0, 1]."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


ProgressCallback = Callable[[Progress], None]
"""Called by a job whenever it has advanced."""


def duration_text(seconds: float) -> str:
    """Return a duration in words, rounded.

    Example:
        >>> duration_text(45.2), duration_text(600), duration_text(9000)
        ('45 s', '10 minutes', '2.5 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where needed.

    Example:
        >>> counted(1, "image"), counted(2, "image"), counted(2, "series")
        ('1 image', '2 images', '2 series')
    """
    return f"{number} {noun}" if number == 1 or noun.endswith("s") else f"{number} {noun}s"


def report_progress(
    on_progress: ProgressCallback | None, phase: str, done: float = 0.0, total: float = 1.0
) -> None:
    """Call a progress callback where there is one."""
    if on_progress is not None:
        on_progress(Progress(done, total, phase))


class ProgressNotes:
    """The progress of one phase, between whose steps sentences are told, as milestones.

    Example:
        >>> notes = ProgressNotes(lambda progress: print(progress.note), "score")
        >>> notes.tell("waiting for workers")
        waiting for workers
    """

    def __init__(self, on_progress: ProgressCallback | None, phase: str) -> None:
        self._on_progress = on_progress
        self._last = Progress(0.0, 0.0, phase)

    def advance(self, done: float, total: float) -> None:
        """Report that so much is done."""
        self._last = replace(self._last, done=done, total=total)
        self._report(self._last)

    def tell(self, note: str) -> None:
        """Report a sentence, where nothing has advanced."""
        self._report(replace(self._last, note=note, milestone=True))

    def _report(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)
