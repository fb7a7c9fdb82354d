"""Accuracy from evaluations and from evaluation files."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from bench.measure.accuracy import accuracy_of, read_accuracy
from runtime.core.errors import DataError
from runtime.data.samples import Sample
from runtime.metrics import STUDY_METRICS
from runtime.scoring.evaluation import score

SIZE, COUNT = (8, 8), 48
SAMPLES = tuple(Sample(Path(f"{i}.png"), f"{i}.png", 8, 8, ()) for i in range(COUNT))
GROUPS = tuple(i // 4 for i in range(COUNT))


@pytest.mark.parametrize("content", ["[]", "{}", '{"version": 1}', '{"version": 4, "data": "d"}'])
def test_a_file_that_is_not_an_evaluation_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"evaluation\.json: (expected|missing)"):
        read_accuracy(path)


def test_each_figure_is_that_of_its_definition() -> None:
    """Images of one group score alike, so that an interval over groups is wider."""
    rng = np.random.default_rng(0)
    masks = [(rng.random(SIZE) < 0.1 + 0.015 * i).astype(np.uint8) for i in range(COUNT)]
    maps = [
        np.clip(mask * (0.9 - 0.25 * (group % 3)) + 0.6 * rng.random(SIZE), 0, 1).astype(np.float32)
        for mask, group in zip(masks, GROUPS, strict=True)
    ]
    scored = score("network", SIZE, SAMPLES, list(zip(maps, masks, strict=True)))
    found = accuracy_of(scored, GROUPS, "scans", "test", "segmentation")

    y, p = np.stack(masks).astype(np.float64), np.stack(maps).astype(np.float64)
    overlap, hard = y * p, (p >= 0.5).astype(np.float64)

    def total(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.sum(axis=(1, 2)))

    expected = {
        "accuracy": total(overlap + (1 - y) * (1 - p)) / 64,
        "recall": total(overlap) / total(y),
        "precision": total(overlap) / total(p),
        "iou": total(overlap) / total(y + p - overlap),
    }
    assert set(expected) == set(STUDY_METRICS)
    for name, values in expected.items():
        assert getattr(found, name) == pytest.approx(values.mean(), abs=1e-6), name
    assert found.per_image_iou == pytest.approx(expected["iou"], abs=1e-6)
    assert found.pooled_iou == pytest.approx(overlap.sum() / (y + p - overlap).sum(), abs=1e-6)
    at_half = total(y * hard) / total(y + hard - y * hard)
    assert found.iou_at_half == pytest.approx(at_half.mean(), abs=1e-6)
    assert (found.images, found.groups, found.image_groups) == (COUNT, 12, GROUPS)
    assert (found.data, found.split, found.masks) == ("scans", "test", "segmentation")

    partly = accuracy_of(scored, (), "scans", "test", "boxes")
    assert (partly.groups, partly.image_groups) == (COUNT, ())
    assert found.iou_high - found.iou_low > 1.2 * (partly.iou_high - partly.iou_low) > 0.0
