import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import jaccard_score

from runtime.core.errors import ConfigError
from runtime.data.coco import Dataset, Split
from runtime.data.images import load_scan, resize_map, to_input
from runtime.data.samples import MaskKind
from runtime.metrics import scores
from runtime.model.predictor import Predictor
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.evaluation import Evaluation, evaluate, score


@pytest.fixture(scope="module")
def split(phantom_data: Dataset) -> Split:
    return phantom_data.split("test")


@pytest.fixture(scope="module")
def evaluation(model: Path, split: Split) -> Evaluation:
    return evaluate(Predictor(model, threads=1), split)


def test_it_scores_the_networks_output_against_the_masks(
    evaluation: Evaluation, model: Path, split: Split
) -> None:
    predictor = Predictor(model, threads=1)
    products = []
    for sample, sums in zip(split.samples, evaluation.samples, strict=True):
        picture = Image.open(sample.path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        image = (np.asarray(picture, np.float32) / 255.0).transpose(2, 0, 1)[None]
        p = predictor.run(image)[0].astype(np.float64)
        y = sample.mask((32, 32)).astype(np.float64)
        found = scores(sums.soft)
        assert sums.file == sample.file_name
        assert found.accuracy == pytest.approx((y * p + (1 - y) * (1 - p)).mean(), abs=1e-6)
        assert found.recall == pytest.approx((y * p).sum() / y.sum(), abs=1e-6)
        assert found.precision == pytest.approx((y * p).sum() / p.sum(), abs=1e-6)
        assert found.iou == pytest.approx((y * p).sum() / (y + p - y * p).sum(), abs=1e-6)
        decided = jaccard_score(y.ravel() == 1, p.ravel() >= 0.5, zero_division=0.0)
        assert scores(sums.thresholded).iou == pytest.approx(decided, abs=1e-9)
        products.append([(y * p).sum(), (y + p - y * p).sum()])
    overlap, union = np.sum(products, axis=0)
    assert evaluation.soft.pooled.iou == pytest.approx(overlap / union, abs=1e-6)
    mean = np.mean([o / u for o, u in products])
    assert evaluation.soft.per_image["iou"].mean == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (48, 64), (16, 24)])
def test_at_another_size_the_map_is_resized_and_the_mask_drawn_anew(
    evaluation: Evaluation, model: Path, split: Split, size: tuple[int, int]
) -> None:
    predictor = Predictor(model, threads=1, batch_size=3)
    found = evaluate(predictor, split, size=size)
    assert found.size == size
    if size == predictor.size:
        # A batch of three may round otherwise than single images.
        for one, two in zip(found.samples, evaluation.samples, strict=True):
            assert scores(one.soft).iou == pytest.approx(scores(two.soft).iou, abs=1e-6)
    overlaps = []
    for sample, sums in zip(split.samples, found.samples, strict=True):
        picture = Image.open(sample.path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        image = (np.asarray(picture, np.float32) / 255.0).transpose(2, 0, 1)[None]
        small = Image.fromarray(predictor.run(image)[0])
        p = np.asarray(small.resize(size[::-1], Image.Resampling.BILINEAR), np.float64)
        y = sample.mask(size).astype(np.float64)
        assert sums.soft.pixels == sums.thresholded.pixels == size[0] * size[1]
        assert scores(sums.soft).accuracy == pytest.approx(1 - np.abs(p - y).mean(), abs=1e-6)
        assert scores(sums.soft).iou == pytest.approx(
            np.minimum(p, y).sum() / np.maximum(p, y).sum(), abs=1e-6
        )
        decided = jaccard_score(y.ravel() == 1, p.ravel() >= 0.5, zero_division=0.0)
        assert scores(sums.thresholded).iou == pytest.approx(decided, abs=1e-9)
        overlaps.append([(y * p).sum(), np.maximum(p, y).sum()])
    overlap, union = np.sum(overlaps, axis=0)
    assert found.soft.pooled.iou == pytest.approx(overlap / union, abs=1e-6)


@pytest.mark.parametrize("size", [(0, 32), (32, 1 << 14)])
def test_a_size_that_is_not_possible_is_refused(
    model: Path, split: Split, size: tuple[int, int]
) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 8192 pixels a side"):
        evaluate(Predictor(model, threads=1), split, size=size)


def test_it_does_not_depend_on_threads_or_on_the_batch(
    evaluation: Evaluation, model: Path, split: Split
) -> None:
    for threads, batch_size, concurrency in ((2, 1, 1), (1, 3, 1), (2, 1, 2), (5, 2, 4)):
        predictor = Predictor(
            model, threads=threads, batch_size=batch_size, concurrency=concurrency
        )
        other = evaluate(predictor, split)
        for one, two in zip(evaluation.samples, other.samples, strict=True):
            assert scores(one.soft).iou == pytest.approx(scores(two.soft).iou, abs=1e-6)


def test_it_reports_progress(model: Path, split: Split) -> None:
    seen = []
    evaluate(
        Predictor(model, threads=1),
        split,
        on_progress=lambda step: seen.append((step.done, step.total)),
    )
    assert seen == [(n + 1, len(split.samples)) for n in range(len(split.samples))]


def test_the_all_background_baseline_has_the_accuracy_of_the_background(
    phantom_data: Dataset,
) -> None:
    train, test = phantom_data.split("train"), phantom_data.split("test")
    background, mean, _ = evaluate_baselines(train, test, (32, 32))
    share = np.mean([sample.mask((32, 32)).mean() for sample in test.samples])
    assert background.soft.pooled.accuracy == pytest.approx(1.0 - share, abs=1e-12)
    assert background.soft.pooled.recall == 0.0
    assert math.isnan(background.soft.pooled.precision)
    assert background.soft.per_image["precision"].left_out == len(test.samples)
    masks = np.mean([sample.mask((32, 32)) for sample in train.samples], axis=0)
    truth = np.stack([sample.mask((32, 32)) for sample in test.samples])
    overlap, union = (truth * masks).sum(), (truth + masks - truth * masks).sum()
    assert mean.soft.pooled.iou == pytest.approx(overlap / union, abs=1e-6)


def test_the_nearest_image_of_the_split_itself_is_the_image(phantom_data: Dataset) -> None:
    train = phantom_data.split("train")
    nearest = evaluate_baselines(train, train, (32, 32))[2]
    assert nearest.soft.pooled.iou == 1.0


def test_baselines_of_the_real_set_are_those_that_were_measured(real_data: Dataset) -> None:
    baselines = evaluate_baselines(real_data.split("train"), real_data.split("test"), (256, 256))
    background, _, nearest = (baseline.soft.pooled for baseline in baselines)
    assert background.accuracy == pytest.approx(0.963, abs=1e-3)
    assert nearest.iou == pytest.approx(0.535, abs=5e-3)
    assert nearest.accuracy == pytest.approx(0.978, abs=1e-3)
    assert nearest.recall == pytest.approx(0.706, abs=5e-3)
    assert nearest.precision == pytest.approx(0.688, abs=5e-3)


@pytest.mark.parametrize("size", [(32, 32), (48, 16)])
def test_calibration_and_size_are_those_of_all_pixels(
    model: Path, split: Split, size: tuple[int, int]
) -> None:
    predictor = Predictor(model, threads=1)
    found = evaluate(predictor, split, size=size)
    maps = [resize_map(predictor.run(scan_input(s.path))[0], size) for s in split.samples]
    p = np.stack(maps).astype(np.float64).ravel()
    y = np.stack([sample.mask(size) for sample in split.samples]).ravel()
    assert found.size == size
    assert sum(found.calibration.bin_pixels) == len(split.samples) * size[0] * size[1]
    assert found.calibration.brier == pytest.approx(((p - y) ** 2).mean(), abs=1e-6)
    bins = np.minimum((p * 15).astype(int), 14)
    gap = sum(abs((y - p)[bins == n].sum()) for n in range(15)) / p.size
    assert found.calibration.ece == pytest.approx(gap, abs=1e-4)


def scan_input(path: Path) -> NDArray[np.float32]:
    return to_input(load_scan(path, (32, 32)).pixels)[None]


def test_every_sample_has_one_outcome(split: Split) -> None:
    outcome = (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8))
    for number in (len(split.samples) - 1, len(split.samples) + 1):
        with pytest.raises(ValueError, match="argument"):
            score("m", (4, 4), split.samples, [outcome] * number)


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
