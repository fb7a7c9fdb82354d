"""The history of a run: a row for each epoch, their CSV file, and the picture of the curves."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from runtime.core.files import replacing, write_text
from runtime.core.progress import duration_text

HISTORY, CURVES = "history.csv", "curves.png"
_RECENT = 3
"""Epochs whose time tells how long the next ones take; other loads on a machine come and go."""


@dataclass(frozen=True, slots=True)
class EpochRow:
    """The results of one epoch.

    Those of the training images are measured during the epoch, as in the study; those of the
    validation images after it. `nan` and an empty text stand in the rows of earlier versions, which
    did not have the last seven fields.

    Attributes:
        epoch: 1 for the first.
        learning_rate: of the decoder during the epoch.
        seconds: of the whole epoch, including validation.
        images_per_s: training images per second, without validation.
        train_loss, valid_loss: mean of the loss over images.
        train_precision, train_recall, train_iou: soft metrics, means over the images with
            foreground; likewise those that begin with `valid`.
        train_precision_at_half, train_recall_at_half, train_iou_at_half: at threshold 0.5, pooled
            over all images, as the study's training metrics; likewise those with `valid`.
        arithmetic: the network's, "float32" or "bf16".
    """

    epoch: int
    learning_rate: float
    seconds: float
    images_per_s: float
    train_loss: float
    train_precision: float
    train_recall: float
    train_iou: float
    valid_loss: float
    valid_precision: float
    valid_recall: float
    valid_iou: float
    train_precision_at_half: float = math.nan
    train_recall_at_half: float = math.nan
    train_iou_at_half: float = math.nan
    valid_precision_at_half: float = math.nan
    valid_recall_at_half: float = math.nan
    valid_iou_at_half: float = math.nan
    arithmetic: str = ""


def best_epoch(history: Sequence[EpochRow]) -> EpochRow:
    """Return the row with the lowest validation loss, the first of equals.

    Example:
        >>> rows = [EpochRow(1, *[0.5] * 11), EpochRow(2, *[0.25] * 11), EpochRow(3, *[0.25] * 11)]
        >>> best_epoch(rows).epoch
        2
    """
    return min(history, key=lambda row: row.valid_loss)


def epoch_line(history: Sequence[EpochRow], epochs: int) -> str:
    """Return the results of the last epoch in one line, with the time that further epochs take.

    Args:
        history: rows up to this epoch, at least one.
        epochs: number of epochs of the whole run.

    Example:
        >>> row = EpochRow(3, 1e-3, 60.0, 25.0, 0.05, 0.4, 0.5, 0.3, 0.06, 0.3, 0.4, 0.2)
        >>> epoch_line([row], 4)
        'epoch 3/4: loss 0.0500, valid 0.0600; IoU 0.300, valid 0.200; 25.0 images/s; 60 s left'
    """
    row, recent = history[-1], history[-_RECENT:]
    left = (epochs - row.epoch) * sum(each.seconds for each in recent) / len(recent)
    rest = f"{duration_text(left)} left" if left else "the curves are drawn"
    return (
        f"epoch {row.epoch}/{epochs}: loss {row.train_loss:.4f}, valid {row.valid_loss:.4f}; "
        f"IoU {row.train_iou:.3f}, valid {row.valid_iou:.3f}; {row.images_per_s:.1f} images/s; "
        f"{rest}"
    )


def write_history(path: Path, history: Sequence[EpochRow]) -> None:
    """Write the rows as CSV; readers never see half a file. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(EpochRow)]
    writer.writerow(names)
    writer.writerows([_text(getattr(row, name)) for name in names] for row in history)
    write_text(path, text.getvalue())


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def draw_curves(path: Path, history: Sequence[EpochRow], title: str) -> None:
    """Write a PNG of the loss, IoU, precision and recall of both splits over the epochs.

    Raises:
        OutputError: the picture cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(12, 8), layout="constrained")
    figure.suptitle(title)
    epochs = [row.epoch for row in history]
    best = best_epoch(history).epoch
    panels = ("loss", "IoU", "precision", "recall")
    for axes, label in zip(figure.subplots(2, 2).flat, panels, strict=True):
        name = label.lower()
        lines = [(name, "-", "")]
        if name != "loss":
            lines = [(name, "-", ", soft"), (f"{name}_at_half", "--", ", at 0.5, pooled")]
        for split, color in (("train", "tab:blue"), ("valid", "tab:orange")):
            for field, style, note in lines:
                values = [getattr(row, f"{split}_{field}") for row in history]
                axes.plot(epochs, values, style, color=color, linewidth=1.2, label=split + note)
        axes.axvline(best, color="gray", linestyle=":", linewidth=1, label="lowest valid loss")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0.0, top=None if name == "loss" else 1.0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
