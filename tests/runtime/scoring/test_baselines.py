"""Baselines against numpy on the masks, and against what was measured on the real set."""

import math
from pathlib import Path

import numpy as np
import pytest

from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.samples import MaskKind
from runtime.model.predictor import Predictor
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.evaluation import evaluate


def test_the_all_background_baseline_has_the_accuracy_of_the_background(
    phantom_data: Dataset,
) -> None:
    train, test = phantom_data.split("train"), phantom_data.split("test")
    background, mean, _ = evaluate_baselines(train, test, (32, 32))
    share = np.mean([sample.mask((32, 32), "segmentation").mean() for sample in test.samples])
    assert background.soft.pooled.accuracy == pytest.approx(1.0 - share, abs=1e-12)
    assert background.soft.pooled.recall == 0.0
    assert math.isnan(background.soft.pooled.precision)
    assert background.soft.per_image["precision"].undefined == len(test.samples)
    masks = np.mean([sample.mask((32, 32), "segmentation") for sample in train.samples], axis=0)
    truth = np.stack([sample.mask((32, 32), "segmentation") for sample in test.samples])
    overlap, union = (truth * masks).sum(), (truth + masks - truth * masks).sum()
    assert mean.soft.pooled.iou == pytest.approx(overlap / union, abs=1e-6)


def test_the_nearest_image_of_the_split_itself_is_the_image(phantom_data: Dataset) -> None:
    train = phantom_data.split("train")
    nearest = evaluate_baselines(train, train, (32, 32))[2]
    assert nearest.soft.pooled.iou == 1.0


@pytest.mark.parametrize("masks", ["boxes", "segmentation"])
def test_baselines_and_networks_are_scored_on_the_masks_asked_for(
    model: Path, phantom_data: Dataset, masks: MaskKind
) -> None:
    train, test = phantom_data.split("train"), phantom_data.split("test")
    truth = np.stack([sample.mask((32, 32), masks) for sample in test.samples]).astype(float)
    known = np.stack([sample.mask((32, 32), masks) for sample in train.samples]).astype(float)
    looks = [
        np.stack([load_scan(s.path, (32, 32)).pixels[..., 0].ravel() / 255.0 for s in part.samples])
        for part in (test, train)
    ]
    closest = np.corrcoef(looks[0], looks[1])[: len(truth), len(truth) :].argmax(axis=1)
    expected = (np.zeros_like(truth), np.broadcast_to(known.mean(axis=0), truth.shape))
    for found, p in zip(
        evaluate_baselines(train, test, (32, 32), masks=masks),
        (*expected, known[closest]),
        strict=True,
    ):
        assert [s.soft.target for s in found.samples] == truth.sum(axis=(1, 2)).tolist()
        assert found.soft.pooled.iou == pytest.approx(
            (truth * p).sum() / (truth + p - truth * p).sum(), abs=1e-6
        )
    network = evaluate(Predictor(model, threads=1), test, masks=masks)
    assert [s.soft.target for s in network.samples] == truth.sum(axis=(1, 2)).tolist()
