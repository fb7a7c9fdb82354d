"""The history of a run: a row for each epoch, their CSV file, and the picture of the curves."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from runtime.core.files import replacing, write_text

HISTORY, CURVES = "history.csv", "curves.png"


@dataclass(frozen=True, slots=True)
class EpochRow:
    """The results of one epoch.

    The soft metrics are means over images. Those of the training images are measured during the
    epoch, as in the study; those of the validation images after it.

    Attributes:
        epoch: 1 for the first.
        learning_rate: of the decoder during the epoch.
        seconds: of the whole epoch, including validation.
        images_per_s: training images per second, without validation.
        train_loss, valid_loss: mean of the loss over images.
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


def best_epoch(history: Sequence[EpochRow]) -> EpochRow:
    """Return the row with the lowest validation loss, the first of equals.

    Example:
        >>> rows = [EpochRow(1, *[0.5] * 11), EpochRow(2, *[0.25] * 11), EpochRow(3, *[0.25] * 11)]
        >>> best_epoch(rows).epoch
        2
    """
    return min(history, key=lambda row: row.valid_loss)


def write_history(path: Path, history: Sequence[EpochRow]) -> None:
    """Write the rows as CSV; readers never see half a file. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(EpochRow)]
    writer.writerow(names)
    writer.writerows([f"{getattr(row, name):.6g}" for name in names] for row in history)
    write_text(path, text.getvalue())


def draw_curves(path: Path, history: Sequence[EpochRow], title: str) -> None:
    """Write a PNG of the loss, precision, recall and IoU of both splits over the epochs.

    Raises:
        OutputError: the picture cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(title)
    epochs = [row.epoch for row in history]
    best = best_epoch(history).epoch
    panels = (
        ("loss", "loss"),
        ("iou", "soft IoU"),
        ("precision", "soft precision"),
        ("recall", "soft recall"),
    )
    for axes, (name, label) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for split, color in (("train", "tab:blue"), ("valid", "tab:orange")):
            values = [getattr(row, f"{split}_{name}") for row in history]
            axes.plot(epochs, values, color=color, marker="o", markersize=3, label=split)
        axes.axvline(best, color="gray", linestyle=":", linewidth=1, label="lowest valid loss")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0.0, top=None if name == "loss" else 1.0)
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
