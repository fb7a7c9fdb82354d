"""The real data set: what was measured of it holds, and what the tools make of all its images."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from runtime.data.audit import Audit, audit_dataset
from runtime.data.check import CheckReport, check_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.split_files import write_split
from runtime.report.exploration import Exploration, explore
from runtime.report.exploration_page import exploration_html
from runtime.scoring.baselines import evaluate_baselines

SPLITS = ("train", "valid", "test")


def coco(root: Path, split: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / split / "_annotations.coco.json").read_text())
    return content


@pytest.fixture(scope="module")
def checked(real_data: Dataset) -> CheckReport:
    return check_dataset(real_data)


@pytest.fixture(scope="module")
def audit(real_data: Dataset) -> Audit:
    return audit_dataset(real_data)


@pytest.fixture(scope="module")
def grouped(real_data: Dataset, audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("split") / "grouped"
    write_split(real_data, split_by_group(real_data, audit), folder)
    return read_dataset(folder)


@pytest.fixture(scope="module")
def explored(real_data: Dataset) -> Exploration:
    return explore(real_data, size=(64, 64))


def test_it_is_read_as_it_is_described(real_data: Dataset) -> None:
    sizes = {name: len(split.samples) for name, split in real_data.splits.items()}
    assert sizes == {"train": 1502, "valid": 429, "test": 215}
    assert real_data.license == "CC BY 4.0"
    for split in real_data.splits.values():
        assert {(s.width, s.height) for s in split.samples} == {(640, 640)}
        for sample in split.samples:
            expected = 0 if sample.file_name.startswith("2369_jpg.rf.8b8afa9d") else 1
            expected += sample.file_name.startswith("176_jpg.rf.23ef40c3")
            assert len(sample.annotations) == expected, sample.file_name


def test_two_defects_are_found_and_nothing_else(checked: CheckReport) -> None:
    speck, empty = sorted(checked.defects, key=lambda defect: defect.where)
    assert empty.split == speck.split == "train"
    assert empty.where.startswith("2369_jpg.rf.8b8afa9d")
    assert (empty.problem, empty.action) == ("no annotation", "used, with an empty mask")
    assert speck.where.startswith("176_jpg.rf.23ef40c3")
    assert "speck" in speck.problem
    assert speck.action == "used"
    assert checked.usable


def test_summaries_are_those_measured(checked: CheckReport) -> None:
    assert [(s.name, s.images, s.annotations) for s in checked.splits] == [
        ("train", 1502, 1502),
        ("valid", 429, 429),
        ("test", 215, 215),
    ]
    assert [round(s.annotated_area) for s in checked.splits] == [14965, 15015, 14969]


def test_the_foreground_share_is_that_of_the_boxes_areas(
    real_root: Path, checked: CheckReport
) -> None:
    for summary in checked.splits:
        boxes = [a["bbox"] for a in coco(real_root, summary.name)["annotations"]]
        pixels = summary.images * 640 * 640
        area = sum(w * h for _, _, w, h in boxes)
        # pixels are whole: each side of a mask differs from its box's by less than one
        rounding = sum(w + h + 1 for _, _, w, h in boxes)
        assert abs(summary.foreground_share - area / pixels) < rounding / pixels


def test_the_neighbors_are_those_that_were_counted(audit: Audit) -> None:
    by_split = {(e.split, e.other): e for e in audit.exposures}
    assert by_split["valid", "train"].next_slices == 395
    assert by_split["test", "train"].next_slices == 197
    assert by_split["test", "train"].images == 215


def test_no_scan_is_a_copy_or_another_one_turned(audit: Audit) -> None:
    assert (len(audit.links), audit.groups) == (3070, 356)
    assert {(link.reason, link.orientation) for link in audit.links} == {
        ("look", "as stored"),
        ("slices", "as stored"),
    }


def test_the_grouped_split_keeps_sizes_and_tumor_sizes_and_has_no_link_across(
    real_data: Dataset, audit: Audit, grouped: Dataset
) -> None:
    def shares(data: Dataset, name: str) -> list[float]:
        return [
            sum(a.box[2] * a.box[3] for a in s.annotations) / (s.width * s.height)
            for s in data.split(name).samples
        ]

    for name in SPLITS:
        before, after = len(real_data.split(name).samples), len(grouped.split(name).samples)
        assert after == pytest.approx(before, abs=5)
        assert ks_2samp(shares(real_data, name), shares(grouped, name)).pvalue > 0.2
        assert np.mean(shares(grouped, name)) == pytest.approx(0.0365, abs=0.003)
    assert grouped.license == real_data.license
    places = [(s.path.resolve(), d.name) for d in grouped.splits.values() for s in d.samples]
    assert set(Counter(path for path, _ in places).values()) == {1}
    split_of = dict(places)
    assert len(split_of) == 2146
    images = [split_of[image.sample.path.resolve()] for image in audit.images]
    assert all(images[link.first] == images[link.second] for link in audit.links)


def test_baselines_are_those_that_were_measured(real_data: Dataset) -> None:
    baselines = evaluate_baselines(real_data.split("train"), real_data.split("test"), (256, 256))
    background, _, nearest = (baseline.soft.pooled for baseline in baselines)
    assert background.accuracy == pytest.approx(0.963, abs=1e-3)
    assert nearest.iou == pytest.approx(0.535, abs=5e-3)
    assert nearest.accuracy == pytest.approx(0.978, abs=1e-3)
    assert nearest.recall == pytest.approx(0.706, abs=5e-3)
    assert nearest.precision == pytest.approx(0.688, abs=5e-3)


def test_the_nearest_image_predicts_much_less_across_groups(grouped: Dataset) -> None:
    nearest = evaluate_baselines(grouped.split("train"), grouped.split("test"), (64, 64))[2]
    assert nearest.soft.pooled.iou < 0.25


def test_areas_are_those_measured(real_root: Path, explored: Exploration) -> None:
    assert [round(s.spreads["area"].mean) for s in explored.splits] == [14965, 15015, 14969]
    counts = [(s.images, s.boxes, s.unannotated) for s in explored.splits]
    assert counts == [(1502, 1502, 1), (429, 429, 0), (215, 215, 0)]
    for split in explored.splits:
        areas = [annotation["area"] for annotation in coco(real_root, split.name)["annotations"]]
        np.testing.assert_allclose(sorted(split.area), sorted(areas), rtol=1e-4)


def test_two_oddities_are_among_the_outliers(explored: Exploration) -> None:
    found = {(o.split, o.file_name.split("_")[0], o.quantity): o for o in explored.outliers}
    assert found["train", "2369", "annotation"].reason == "no annotation"
    speck = found["train", "176", "area"]
    assert speck.value == 18.75
    assert speck.beyond == max(o.beyond for o in explored.outliers if o.quantity == "area")


def test_the_oddities_are_in_the_gallery(
    real_data: Dataset, explored: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.report.exploration_page.figure_uri", lambda _: "data:,")
    text = exploration_html(real_data, explored)
    cards = re.findall(r"<strong>(\d+)_jpg.*?</strong>\s*<p>(.*?)</p>", text)
    assert ("2369", "no annotation") in cards
    assert any(name == "176" and "18.75 pixels" in reason for name, reason in cards)


def test_the_tests_between_splits_are_scipys_on_the_files_boxes(
    real_root: Path, explored: Exploration
) -> None:
    boxes = {
        name: np.array([a["bbox"] for a in coco(real_root, name)["annotations"]]).T
        for name in SPLITS
    }
    values = {
        "share": {name: w * h / 640**2 for name, (_, _, w, h) in boxes.items()},
        "aspect": {name: w / h for name, (_, _, w, h) in boxes.items()},
        "center_x": {name: (x + w / 2) / 640 for name, (x, _, w, _) in boxes.items()},
        "center_y": {name: (y + h / 2) / 640 for name, (_, y, _, h) in boxes.items()},
    }
    found = {(t.quantity, t.first, t.second): t for t in explored.tests}
    assert len(found) == 15
    for quantity, by_split in values.items():
        for first, second in combinations(by_split, 2):
            expected = ks_2samp(by_split[first], by_split[second])
            test = found[quantity, first, second]
            # Values that are equal but for a rounding may change their order.
            assert test.statistic == pytest.approx(expected.statistic, abs=0.01)
            assert test.p_value == pytest.approx(expected.pvalue, abs=0.05)


def test_the_splits_are_alike_in_every_quantity(explored: Exploration) -> None:
    assert min(test.holm_p_value for test in explored.tests) > 0.05
