"""Text output of commands: tables, progress bars, counts, and lists of skipped images."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from runtime.core.errors import printable
from runtime.core.progress import Progress, counted as counted, duration_text

if TYPE_CHECKING:
    from runtime.model.sessions import Engine

_LISTED = 20


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows in aligned columns: text to the left, numbers to the right.

    Floats have four decimals; None and NaN appear as a dash.

    Example:
        >>> print(table(("network", "IoU"), [("a.onnx", 0.75), ("b.onnx", None)]))
        network     IoU
        -------  ------
        a.onnx   0.7500
        b.onnx        -
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    right = [
        all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(header))
    ]

    def line(values: Sequence[str]) -> str:
        aligned = (
            value.rjust(width) if is_right else value.ljust(width)
            for value, width, is_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in cells)])


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


def engine_text(engine: "Engine") -> str:
    """Return what computes a network, with its threads."""
    return f"{engine}, {counted(engine.threads, 'thread')}"


def skipped_text(reasons: Sequence[str]) -> str:
    """Return a list of the first 20 skipped images, by the reason of each.

    Example:
        >>> print(skipped_text(["a.png: damaged image"]))
        Skipped, because they cannot be read (1):
          a.png: damaged image
    """
    more = ["..."] if len(reasons) > _LISTED else []
    lines = [*map(printable, reasons[:_LISTED]), *more]
    return "\n  ".join([f"Skipped, because they cannot be read ({len(reasons)}):", *lines])


@contextmanager
def progress(label: str = "", *, seconds: bool = False) -> Iterator["ProgressBar | ProgressLines"]:
    """Yield a progress bar, or lines where standard error is no terminal.

    Args:
        seconds: the numbers are the seconds of a `bench.schedule.Schedule`.
    """
    in_terminal = sys.stderr.isatty()
    shown = ProgressBar(label) if in_terminal else ProgressLines(label, seconds=seconds)
    try:
        yield shown
    finally:
        shown.close()


class ProgressLines:
    """A `runtime.core.progress.ProgressCallback` for logs: a line now and then on standard error.

    Args:
        label: the text before the numbers; without it, the phase.
        every_s: fewest seconds between two lines. An estimate rests on half as many.
        clock: returns the time in seconds.
        seconds: the numbers are seconds, so the time left is known; a percentage is stated.
    """

    def __init__(
        self,
        label: str = "",
        every_s: float = 10.0,
        clock: Callable[[], float] = monotonic,
        *,
        seconds: bool = False,
    ) -> None:
        self._label, self._every_s, self._clock = label, every_s, clock
        self._seconds = seconds
        self._start = self._last = clock()
        self._phase: str | None = None

    def __call__(self, progress: Progress) -> None:
        """Write a line if the last one is old enough, or a milestone's note."""
        if progress.milestone:
            click.echo(printable(progress.note), err=True)
            return
        now = self._clock()
        if progress.phase != self._phase:
            self._phase, self._start, self._first = progress.phase, now, progress.done
        if progress.done == self._first:
            self._start = now  # what comes before the first step says nothing about the others
        if now - self._last >= self._every_s:
            self._last = now
            click.echo(self._line(progress, now - self._start), err=True)

    def _line(self, progress: Progress, since_start: float) -> str:
        amount = f"{int(progress.done)} of {progress.total:.10g}"
        if self._seconds:
            amount = f"{progress.fraction:.0%}".replace("%", " %")
        text = f"{self._label or progress.phase} {amount}".strip()
        left = self._seconds_left(progress, since_start)
        if left > 0:
            text += f", {duration_text(left)} left"
        return f"{text}: {progress.note}" if progress.note else text

    def _seconds_left(self, progress: Progress, since_start: float) -> float:
        """Return the expected seconds that are left; 0 where they are not known yet."""
        done, left = progress.done - self._first, progress.total - progress.done
        if self._seconds:
            return left
        return since_start * left / done if done > 0 and since_start >= self._every_s / 2 else 0.0

    def close(self) -> None:
        """Nothing: each line is complete."""


class ProgressBar:
    """A `runtime.core.progress.ProgressCallback` that draws a bar on standard error.

    Args:
        label: the text before the bar; without it, each phase has a bar of its own.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._phase = ""
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Draw the progress, with its note beside the remaining time; a milestone's above it."""
        if progress.milestone:
            self.close()
            click.echo(printable(progress.note), err=True)
            return
        if not self._label and progress.phase != self._phase:
            self.close()
        if self._bar is None:
            self._open(progress)
        self._bar.length = max(1, round(progress.total))
        self._bar.update(int(progress.done) - self._bar.pos, progress.note or None)
        self._bar.render_progress()

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def _open(self, progress: Progress) -> None:
        self._phase = progress.phase
        self._bar = click.progressbar(
            length=max(1, round(progress.total)),
            label=self._label or progress.phase,
            file=sys.stderr,
            item_show_func=lambda note: note,
            show_pos=True,
        )
        self._bar.render_progress()
