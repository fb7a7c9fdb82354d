"""Exploring a data set: its numbers against those counted from its files."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from runtime.core.errors import DataError
from runtime.core.json_files import write_json
from runtime.core.schema import from_dict, to_dict
from runtime.data.coco import Dataset, read_dataset
from runtime.report import exploration_figures, exploration_tables
from runtime.report.exploration import Exploration, SplitExploration, explore
from runtime.report.exploration_tables import fences_table, summary_table
from runtime.report.figures import style

COCO = "_annotations.coco.json"


def coco(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / COCO).read_text())
    return content


def write_split(
    folder: Path, boxes: list[list[tuple[float, float, float, float]]], *, level: int = 128
) -> None:
    """A split of gray images of 40x20, with these boxes on them."""
    folder.mkdir(parents=True)
    content: dict[str, Any] = {"categories": [{"id": 1, "name": "c"}], "images": []}
    content["annotations"] = []
    for index, found in enumerate(boxes):
        name = f"{index}.png"
        Image.new("L", (40, 20), level).save(folder / name)
        content["images"].append({"id": index, "file_name": name, "width": 40, "height": 20})
        for box in found:
            identity = len(content["annotations"])
            content["annotations"].append(
                {"id": identity, "image_id": index, "category_id": 1, "bbox": list(box)}
            )
    (folder / COCO).write_text(json.dumps(content))


def explore_boxes(
    root: Path, boxes: list[list[tuple[float, float, float, float]]]
) -> SplitExploration:
    write_split(root / "train", boxes)
    (split,) = explore(read_dataset(root)).splits
    return split


@pytest.fixture(scope="module")
def phantoms(phantom_data: Dataset) -> Exploration:
    return explore(phantom_data, size=(64, 64))


def test_pixel_values_are_those_of_the_files(phantom: Path, phantoms: Exploration) -> None:
    for split in phantoms.splits:
        files = [entry["file_name"] for entry in coco(phantom / split.name)["images"]]
        levels = np.stack([np.asarray(Image.open(phantom / split.name / f)) for f in files])
        pixels = levels / 255.0
        assert split.images == len(files)
        np.testing.assert_allclose(split.gray, pixels.mean(axis=(1, 2)))
        assert split.pixel_mean == pytest.approx(pixels.mean())
        assert split.pixel_std == pytest.approx(pixels.std())
        # four of the 256 levels fall in each of 64 bins
        counts = np.bincount(levels.ravel() // 4, minlength=64)
        np.testing.assert_allclose(split.pixel_shares, counts / counts.sum())


def test_boxes_are_those_of_the_files(phantom: Path, phantoms: Exploration) -> None:
    for split in phantoms.splits:
        x, y, w, h = np.array([a["bbox"] for a in coco(phantom / split.name)["annotations"]]).T
        assert split.boxes == len(x)
        np.testing.assert_allclose(split.area, w * h)
        np.testing.assert_allclose(split.share, w * h / 64**2)
        np.testing.assert_allclose(split.aspect, w / h)
        np.testing.assert_allclose(split.center_x, (x + w / 2) / 64)
        np.testing.assert_allclose(split.center_y, (y + h / 2) / 64)
        assert split.spreads["area"].mean == pytest.approx((w * h).mean())
        assert split.spreads["aspect"].median == pytest.approx(np.median(w / h))


def test_colors_count_by_the_mean_of_their_channels(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]])
    Image.new("RGB", (40, 20), (255, 0, 51)).save(tmp_path / "train" / "0.png")
    (split,) = explore(read_dataset(tmp_path)).splits
    assert split.gray == pytest.approx((0.4,))
    assert split.pixel_shares[int(0.4 * 64)] == 1.0
    assert split.pixel_std == pytest.approx(0.0, abs=1e-6)


def test_white_is_in_the_last_bin(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]], level=255)
    (split,) = explore(read_dataset(tmp_path)).splits
    assert split.pixel_shares[-1] == 1.0


def test_a_heat_maps_rows_run_from_the_top_and_its_columns_from_the_left(tmp_path: Path) -> None:
    # centers (35, 2.5) and, twice, (5, 17.5) of 40x20
    far = (3.0, 16.5, 4.0, 2.0)
    split = explore_boxes(tmp_path, [[(34.0, 1.0, 2.0, 3.0)], [far, far]])
    centers = np.asarray(split.centers)
    assert centers.shape == (32, 32)
    assert np.argwhere(centers).tolist() == [[4, 28], [28, 4]]
    assert (centers[4, 28], centers[28, 4]) == (1, 2)


def test_boxes_beyond_all_measure_do_no_harm(tmp_path: Path) -> None:
    huge, tiny = (-1e300, 0.0, 2e300, 1e300), (0.0, 0.0, 1e-300, 1e-300)
    split = explore_boxes(tmp_path, [[huge], [tiny], [(30.0, 15.0, 1e9, 1e9)]])
    assert max(split.area) == 40 * 20
    assert all(0 <= c <= 1 for c in (*split.center_x, *split.center_y))
    assert np.sum(split.centers) == 3
    assert all(math.isfinite(v) for v in (*split.area, *split.share, *split.aspect))


def test_outliers_are_found_with_their_reasons(tmp_path: Path) -> None:
    usual = [[(5.0, 5.0, 4.0 + 0.1 * i, 4.0)] for i in range(12)]
    write_split(tmp_path / "train", [*usual, [(5, 5, 0.5, 0.5)], [(5, 5, 4.2, 4), (1, 1, 30, 1)]])
    write_split(tmp_path / "test", [[], [(1, 1, 30, 15)]])
    outliers = explore(read_dataset(tmp_path)).outliers
    kinds = [(o.split, o.file_name, o.quantity) for o in outliers]
    assert kinds[0] == ("test", "0.png", "annotation")
    assert ("train", "12.png", "area") in kinds
    assert ("test", "1.png", "area") in kinds
    assert ("train", "13.png", "aspect") in kinds
    assert not {f"{i}.png" for i in range(12)} & {n for s, n, _ in kinds if s == "train"}
    reasons = {(o.file_name, o.quantity): o.reason for o in outliers}
    assert "0.25 pixels" in reasons["12.png", "area"]
    assert "30.00" in reasons["13.png", "aspect"]
    for quantity in ("area", "aspect"):
        distances = [o.beyond for o in outliers if o.quantity == quantity]
        assert distances == sorted(distances, reverse=True)


def test_a_dark_image_among_bright_ones_is_an_outlier(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]] * 9, level=200)
    Image.new("L", (40, 20), 3).save(tmp_path / "train" / "4.png")
    (outlier,) = explore(read_dataset(tmp_path)).outliers
    assert (outlier.file_name, outlier.quantity) == ("4.png", "gray")
    assert "dark" in outlier.reason


def test_a_split_without_annotations_is_explored_all_the_same(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]] * 3)
    write_split(tmp_path / "test", [[], []])
    result = explore(read_dataset(tmp_path))
    test = result.splits[1]
    assert (test.boxes, test.unannotated, test.area) == (0, 2, ())
    assert math.isnan(test.spreads["area"].mean)
    compared = {t.quantity: t for t in result.tests}
    assert not math.isnan(compared["gray"].p_value)
    assert math.isnan(compared["share"].p_value)
    assert len(summary_table(result)[1]) == 2


def test_one_image_in_one_split_is_enough(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]])
    result = explore(read_dataset(tmp_path))
    assert result.tests == ()
    assert result.outliers == ()
    assert result.splits[0].images == 1


def laid_out_centers(data: Path) -> Figure:
    """The maps of the centers of a data set's boxes, placed as before they are drawn."""
    with style():
        figure = exploration_figures._center_figure(explore(read_dataset(data)))
    layout = figure.get_layout_engine()
    assert layout is not None
    layout.execute(figure)
    return figure


def test_the_map_of_the_centers_of_one_split_is_at_the_left(tmp_path: Path) -> None:
    """On a phone only the left half of a figure is in sight."""
    write_split(tmp_path / "train", [[(1, 1, 5, 5)]])
    figure = laid_out_centers(tmp_path)
    assert len(figure.axes) == 2, "a panel and its scale"
    assert all(axes.get_position().x1 < 0.5 for axes in figure.axes)


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c"), ("a", "b", "c", "d", "e")])
def test_the_titles_of_the_maps_lie_within_the_figure(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        write_split(tmp_path / name, [[(1, 1, 5, 5)]])
    figure = laid_out_centers(tmp_path)
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


def test_what_cannot_be_used_is_refused(phantom: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    next((data / "valid").glob("*.png")).unlink()
    with pytest.raises(DataError, match="no such image"):
        explore(read_dataset(data))


def test_the_result_is_the_same_each_time_and_goes_through_json(
    phantom_data: Dataset, phantoms: Exploration, tmp_path: Path
) -> None:
    assert explore(phantom_data, size=(64, 64)) == phantoms
    write_json(tmp_path / "numbers.json", to_dict(phantoms))
    content = json.loads((tmp_path / "numbers.json").read_text())
    back = from_dict(SplitExploration, content["splits"][0], where="", error=DataError)
    assert back.area == phantoms.splits[0].area
    assert [test["p_value"] for test in content["tests"]] == [t.p_value for t in phantoms.tests]


def test_every_image_is_counted(phantom: Path, phantom_data: Dataset) -> None:
    calls: list[tuple[float, float]] = []
    explore(
        phantom_data, size=(8, 8), on_progress=lambda step: calls.append((step.done, step.total))
    )
    images = len(list(phantom.glob("*/*.png")))
    assert calls == [(n, images) for n in range(1, images + 1)]


def test_tables_have_a_row_for_each_thing(phantoms: Exploration) -> None:
    names = [split.name for split in phantoms.splits]
    header, rows = summary_table(phantoms)
    assert [row[0] for row in rows] == names
    assert {len(row) for row in rows} == {len(header)}
    header, outlying = fences_table(phantoms)
    assert header[-3:] == tuple(names)
    assert sum(sum(int(str(n)) for n in row[-3:]) for row in outlying) == len(phantoms.outliers)
    ks_header, tests = exploration_tables.tests_table(phantoms)
    assert len(tests) == len(phantoms.tests)
    assert {len(row) for row in tests} == {len(ks_header)}


def test_a_narrow_box_is_as_unusual_as_a_wide_one(tmp_path: Path) -> None:
    """On a logarithmic scale, half and twice an aspect are equally far; gray levels are linear."""
    boxes = [[(0.0, 0.0, 8.0 + n % 3, 8.0)] for n in range(20)]
    write_split(tmp_path / "train", [*boxes, [(0.0, 0.0, 2.0, 18.0)], [(0.0, 0.0, 18.0, 2.0)]])
    found = explore(read_dataset(tmp_path))
    assert {f.quantity: f.logarithmic for f in found.fences} == {
        "area": True,
        "aspect": True,
        "gray": False,
    }
    aspects = [o.beyond for o in found.outliers if o.quantity == "aspect"]
    assert len(aspects) == 2
    assert aspects[0] / aspects[1] == pytest.approx(1.0, rel=0.15)
