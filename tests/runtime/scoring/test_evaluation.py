from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import jaccard_score

from runtime.core.errors import ConfigError
from runtime.core.settings import MaskKind
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import resize_map, to_input
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.metrics import METRICS, scores
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import Evaluation, evaluate, score


@pytest.fixture(scope="module")
def split(phantom_data: Dataset) -> Split:
    return phantom_data.split("test")


@pytest.fixture(scope="module")
def evaluation(model: Path, split: Split) -> Evaluation:
    return evaluate(Predictor(model, threads=1), split, masks="boxes")


def test_it_scores_the_networks_output_against_the_masks(
    evaluation: Evaluation, model: Path, split: Split
) -> None:
    predictor = Predictor(model, threads=1)
    products = []
    for sample, sums in zip(split.samples, evaluation.samples, strict=True):
        picture = Image.open(sample.path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        image = (np.asarray(picture, np.float32) / 255.0).transpose(2, 0, 1)[None]
        p = predictor.run(image)[0].astype(np.float64)
        y = sample.mask((32, 32), "boxes").astype(np.float64)
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
    found = evaluate(predictor, split, masks="boxes", size=size)
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
        y = sample.mask(size, "boxes").astype(np.float64)
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


@pytest.mark.parametrize("kind", ["boxes", "segmentation"])
def test_a_network_is_scored_on_the_masks_it_was_trained_on(
    model: Path, split: Split, kind: MaskKind
) -> None:
    predictor = Predictor(model, threads=1)
    about = predictor.file.metadata
    assert about is not None
    assert about.training is not None
    trained = replace(about, training=replace(about.training, masks=kind))
    predictor.file = replace(predictor.file, metadata=trained)
    assert str(evaluate(predictor, split)) == str(evaluate(predictor, split, masks=kind))


def test_an_image_that_is_annotated_as_stored_is_scored_as_stored(
    model: Path, split: Split, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 64), np.uint8))
    stored.save(tmp_path / "turned.png", exif=exif)
    stored.save(tmp_path / "plain.png")
    found = []
    for name in ("turned.png", "plain.png"):
        sample = Sample(tmp_path / name, "a.png", 64, 32, split.samples[0].annotations)
        one = replace(split, samples=(sample,))
        found.append(evaluate(Predictor(model, threads=1), one, masks="boxes").samples)
    assert found[0] == found[1]


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
        other = evaluate(predictor, split, masks="boxes")
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


def on_halves(*levels: tuple[float, float], empty: int) -> Evaluation:
    """Score maps with one probability in each half; the first `empty` images lack foreground."""
    mask = np.zeros((2, 4), np.uint8)
    mask[:, :2] = 1
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", 4, 2, ()) for i in range(len(levels))]
    outcomes = [
        (np.repeat(np.array([[inside, outside]], np.float32), 2, axis=1).repeat(2, axis=0), target)
        for (inside, outside), target in zip(
            levels, [0 * mask] * empty + [mask] * (len(levels) - empty), strict=True
        )
    ]
    return score("maps", (2, 4), samples, outcomes)


def test_overlap_metrics_are_means_over_the_images_with_foreground_soft_and_at_half() -> None:
    levels = [(0.0, 0.0), (0.25, 0.25), (0.75, 0.25), (0.75, 0.25), (0.25, 0.25)]
    found, without = on_halves(*levels, empty=3), on_halves(*levels[3:], empty=0)
    for averages, alone in ((found.soft, without.soft), (found.thresholded, without.thresholded)):
        for metric in METRICS[1:]:
            spread, expected = averages.per_image[metric], alone.per_image[metric]
            assert spread.mean == expected.mean
            assert spread.images == expected.images
            assert spread.undefined == expected.undefined + 3
        assert averages.per_image["accuracy"].images == 5
    # Nothing is predicted at 0.5 on the last image, so its precision alone is undefined.
    assert found.thresholded.per_image["precision"].images == 1
    assert found.thresholded.per_image["iou"].mean == pytest.approx(0.5)
    assert found.soft.per_image["iou"].mean == pytest.approx((0.75 / 1.25 + 0.25 / 1.25) / 2)
    assert found.soft.per_image["accuracy"].mean == pytest.approx((1 + 0.75 + 0.5 + 0.75 + 0.5) / 5)


def test_predictions_without_foreground_are_false_positives() -> None:
    levels = [(0.0, 0.0), (0.25, 0.25), (0.75, 0.25), (0.75, 0.25)]
    found = on_halves(*levels, empty=3).false_positives
    assert found.images == 3
    assert found.rate == pytest.approx(1 / 3)
    assert found.area == pytest.approx((0 + 0 + 0.5) / 3)
    assert found.soft_area == pytest.approx((0 + 0.25 + 0.5) / 3)
    none = on_halves(*levels, empty=0).false_positives
    assert none.images == 0
    assert np.isnan([none.rate, none.area, none.soft_area]).all()


@pytest.mark.parametrize("size", [(32, 32), (48, 16)])
def test_calibration_and_size_are_those_of_all_pixels(
    model: Path, split: Split, size: tuple[int, int]
) -> None:
    predictor = Predictor(model, threads=1)
    found = evaluate(predictor, split, masks="boxes", size=size)
    maps = [resize_map(predictor.run(scan_input(s.path))[0], size) for s in split.samples]
    p = np.stack(maps).astype(np.float64).ravel()
    y = np.stack([sample.mask(size, "boxes") for sample in split.samples]).ravel()
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
