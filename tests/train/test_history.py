from dataclasses import replace
from pathlib import Path

import pytest

from train.history import EpochRow, best_epoch, epoch_line, write_history


def rows(*losses: float) -> list[EpochRow]:
    """Rows with these validation losses, whose training losses are in the opposite order."""
    return [
        EpochRow(number, 0.1, 1.0, 1.0, -loss, 0.5, 0.5, 0.5, loss, 0.5, 0.5, 0.5)
        for number, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize(("losses", "best"), [((0.5, 0.25, 0.25), 2), ((0.1, 0.2), 1), ((3.0,), 1)])
def test_the_best_epoch_has_the_lowest_validation_loss_and_is_the_first_of_equals(
    losses: tuple[float, ...], best: int
) -> None:
    assert best_epoch(rows(*losses)).epoch == best


def test_a_history_file_has_each_figure_below_its_name(tmp_path: Path) -> None:
    row = EpochRow(1, 0.001, 12.5, 3.25, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.123456789)
    write_history(tmp_path / "history.csv", [row])
    header, values = (tmp_path / "history.csv").read_text().splitlines()
    assert dict(zip(header.split(","), values.split(","), strict=True)) == {
        "epoch": "1", "learning_rate": "0.001", "seconds": "12.5", "images_per_s": "3.25",
        "train_loss": "0.1", "train_precision": "0.2", "train_recall": "0.3", "train_iou": "0.4",
        "valid_loss": "0.5", "valid_precision": "0.6", "valid_recall": "0.7",
        "valid_iou": "0.123457",
        **{
            f"{split}_{name}_at_half": "nan"
            for split in ("train", "valid") for name in ("precision", "recall", "iou")
        },
        "arithmetic": "",
    }  # fmt: skip


def test_the_time_left_is_that_of_the_latest_epochs() -> None:
    slow, fast = rows(1.0), rows(1.0, 1.0, 1.0, 1.0)
    history = [replace(row, epoch=2 + row.epoch, seconds=600.0) for row in fast]
    line = epoch_line([replace(slow[0], seconds=1e6), *history], 9)
    assert line.startswith("epoch 6/9: loss -1.0000, valid 1.0000; IoU 0.500, valid 0.500; ")
    assert line.endswith("; 1.0 images/s; 30 minutes left")
