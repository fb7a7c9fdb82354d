"""What happened in each epoch: the rows, their file, and the picture of the curves."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from runtime.core.files import replacing, write_text


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch.

    The soft metrics are means over images. Those of the training images are taken while the
    weights still move, as in the study; those of the validation images after the epoch.

    Attributes:
        epoch: 1 for the first.
        learning_rate: during the epoch; an encoder that was frozen before has its own.
        seconds: the whole epoch, validation included.
        images_per_s: training images a second, validation not included.
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
    """Return the row with the lowest validation loss, the first of equals."""
    return min(history, key=lambda row: row.valid_loss)


def write_history(path: Path, history: Sequence[EpochRow]) -> None:
    """Write the rows as CSV; a reader sees a whole file at any time. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(EpochRow)]
    writer.writerow(names)
    writer.writerows([f"{getattr(row, name):.6g}" for name in names] for row in history)
    write_text(path, text.getvalue())


def draw_curves(path: Path, history: Sequence[EpochRow], title: str) -> None:
    """Draw loss, precision, recall and IoU of train and valid over the epochs, as PNG.

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
