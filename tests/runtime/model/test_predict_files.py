"""Predicting files: which images are found, and what is written for them."""

from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ImageError, OutputError
from runtime.data.images import load_scan
from runtime.model.image_files import find_images
from runtime.model.predict_files import MapFormat, predict_files
from runtime.model.predictor import Predictor
from tests.support.model_builder import ModelBuilder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.JPG", "deep/a.png"):
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(path)
    (tmp_path / "scans" / "notes.txt").write_text("not an image")
    return tmp_path / "scans"


def test_a_folder_is_searched_to_the_bottom(folder: Path) -> None:
    assert [str(image.name) for image in find_images([str(folder)])] == ["a", "b", "deep/a"]


def test_a_glob_a_file_and_repetitions_give_each_image_once(folder: Path) -> None:
    found = find_images([str(folder / "*.png"), str(folder / "a.png"), str(folder / "b.JPG")])
    assert [image.path.name for image in found] == ["a.png", "b.JPG"]


def scans(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(root / name)
    return [str(root / name) for name in names]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("1/a.png", "2/a.png"), ["1/a", "2/a"]),
        (("1/a.png", "2/b.png"), ["a", "b"]),
        (("1/s/a.png", "2/s/a.png", "t/a.png"), ["1/s/a", "2/s/a", "t/a"]),
        (("1/a.png", "2/a.png", "b.png"), ["1/a", "2/a", "b"]),
        (("1/a.png", "1/a.tif", "b.png"), ["a.png", "a.tif", "b"]),
        (("1/a.png", "1/a.tif", "2/a.png"), ["a.png", "a.tif", "a"]),
        (("a.png", "a.png.png", "a.tif"), ["a.png", "a.png.png", "a.tif"]),
    ],
)
def test_images_of_equal_names_keep_the_folders_that_tell_them_apart(
    tmp_path: Path, files: tuple[str, ...], names: list[str]
) -> None:
    found = find_images(scans(tmp_path, *files))
    assert [str(image.name) for image in found] == names


def test_folders_of_equal_names_are_told_apart_too(model: Path, tmp_path: Path) -> None:
    scans(tmp_path, "1/x/deep/a.png", "2/x/deep/a.png")
    found = find_images([str(tmp_path / "1" / "x"), str(tmp_path / "2" / "x")])
    assert [str(image.name) for image in found] == ["1/x/deep/a", "2/x/deep/a"]
    written = predict_files(Predictor(model, threads=1), found, tmp_path / "out")
    assert [str(each.overlay.relative_to(tmp_path / "out")) for each in written] == [
        "1/x/deep/a.overlay.png", "2/x/deep/a.overlay.png",
    ]  # fmt: skip


def test_a_pattern_that_names_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for pattern in (folder / "*.gif", folder / "none.png", tmp_path / "empty"):
        with pytest.raises(ImageError, match=f"{pattern.name.replace('*', '.')}: no "):
            find_images([str(pattern)])


def test_results_beside_their_images_are_no_images(model: Path, folder: Path) -> None:
    lone = folder / "lone.overlay.png"
    lone.write_bytes((folder / "a.png").read_bytes())
    found = find_images([str(folder)])
    predict_files(Predictor(model, threads=1), found, folder)
    assert len(list(folder.rglob("*.png"))) == 3 + 2 * 4
    assert {image.path for image in find_images([str(folder)])} >= {lone, folder / "a.png"}
    assert len(find_images([str(folder)])) == len(found) == 4


def test_results_are_known_by_what_wrote_them_wherever_they_lie(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    predict_files(Predictor(model, threads=1), find_images([str(folder)]), folder / "out")
    (folder / "out" / "a.overlay.png").rename(folder / "deep" / "renamed.png")
    expected = ["a", "b", "deep/a"]
    assert [str(image.name) for image in find_images([str(folder)])] == expected
    a_shells_glob = [str(path) for path in sorted(folder.glob("*/*.png"))]
    assert [image.path.name for image in find_images(a_shells_glob)] == ["a.png"]
    with pytest.raises(ImageError, match=r"renamed\.png: a result of this command"):
        find_images([str(folder / "deep" / "renamed.png")])
    with pytest.raises(ImageError, match="no images in this folder except results"):
        find_images([str(folder / "out")])


def test_companion_files_of_macos_are_passed_over(folder: Path) -> None:
    (folder / "._a.png").write_bytes(b"\0\5\x16\7 resource fork")
    assert len(find_images([str(folder)])) == 3
    assert len(find_images([str(folder / "*.png")])) == 1


def test_a_frame_and_an_intensity_hold_for_the_map_and_the_overlay(
    model: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    pages = [Image.fromarray(rng.integers(0, 4096, (40, 30), np.uint16)) for _ in range(2)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    pages[1].save(tmp_path / "page.png")
    predictor = Predictor(model, threads=1, intensity=4095)
    (of_stack,) = predict_files(
        predictor, find_images([str(tmp_path / "stack.tif")]), tmp_path / "out", frame=2
    )
    (of_page,) = predict_files(
        predictor, find_images([str(tmp_path / "page.png")]), tmp_path / "out"
    )
    assert of_stack.probability.read_bytes() == of_page.probability.read_bytes()
    assert of_stack.overlay.read_bytes() == of_page.overlay.read_bytes()


def test_a_result_does_not_replace_an_image(model: Path, folder: Path) -> None:
    other = folder / "a.overlay.png"
    other.write_bytes((folder / "a.png").read_bytes())
    found = find_images([str(other), str(folder / "a.png")])
    with pytest.raises(OutputError, match=r"a\.overlay\.png: would replace the input"):
        predict_files(Predictor(model, threads=1), found, folder)
    assert other.read_bytes() == (folder / "a.png").read_bytes()
    assert not list(folder.glob("*.probability.png"))


def test_an_image_for_which_there_is_no_memory_is_named_and_can_be_skipped(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(path: Path, **options: Any) -> object:
        if path.name == "b.JPG":
            raise MemoryError
        return load_scan(path, **options)

    monkeypatch.setattr("runtime.model.predict_files.load_scan", short)
    found, told = find_images([str(folder)]), list[str]()
    predictor = Predictor(model, threads=1)
    with pytest.raises(ImageError, match=r"b\.JPG: image too large for the available memory"):
        predict_files(predictor, found, tmp_path / "out")
    written = predict_files(
        predictor, found, tmp_path / "out", on_error=lambda error: told.append(str(error))
    )
    assert (len(written), len(told)) == (2, 1)


def test_several_pictures_are_predicted_at_once_and_the_files_are_the_same(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.png").write_bytes(b"no picture")
    found = find_images([str(folder)])
    first, second, broken, last = (image.path for image in found)
    assert broken.name == "c.png"
    files = []
    for concurrency in (1, 2):
        if concurrency == 2:
            both = Barrier(2)

            def meeting(path: Path, *sizes: Any, both: Barrier = both, **options: Any) -> object:
                if path in (first, second):
                    both.wait(timeout=300.0)
                return load_scan(path, *sizes, **options)

            monkeypatch.setattr("runtime.model.predictor.load_scan", meeting)
        out, told = tmp_path / str(concurrency), list[ImageError]()
        predictor = Predictor(model, threads=2, concurrency=concurrency)
        written = predict_files(predictor, found, out, on_error=told.append)
        assert [each.image for each in written] == [first, second, last]
        assert [str(error).partition(": ")[0] for error in told] == [str(broken)]
        results = sorted(path for path in out.rglob("*") if path.is_file())
        files.append({str(path.relative_to(out)): path.read_bytes() for path in results})
    assert len(files[0]) == 6
    assert files[0] == files[1]


@pytest.mark.parametrize("map_format", ["png", "npy"])
def test_the_written_map_is_the_predicted_one(
    model: Path, folder: Path, tmp_path: Path, map_format: MapFormat
) -> None:
    predictor = Predictor(model, threads=1)
    out = tmp_path / "out"
    written = predict_files(predictor, find_images([str(folder)]), out, map_format=map_format)
    assert len(written) == 3
    for one in written:
        expected = predictor(one.image)
        if map_format == "npy":
            np.testing.assert_array_equal(np.load(one.probability), expected)
        else:
            levels = np.asarray(Image.open(one.probability))
            np.testing.assert_allclose(levels / 65535.0, expected, atol=0.5 / 65535 + 1e-7)
        assert load_scan(one.overlay).original_size == (40, 30)
        assert one.highest == expected.max()
        assert one.foreground_share == (expected >= 0.5).mean()
    assert written[2].overlay == out / "deep" / "a.overlay.png"


def test_a_pixel_of_exactly_one_half_is_foreground(
    build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    """A convolution without a bias turns black into a logit of zero."""
    Image.new("RGB", (8, 8)).save(tmp_path / "black.png")
    predictor = Predictor(build_onnx(tmp_path / "m.onnx"), size=(8, 8), threads=1)
    found = find_images([str(tmp_path / "black.png")])
    (prediction,) = predict_files(predictor, found, tmp_path / "out")
    assert (prediction.highest, prediction.foreground_share) == (0.5, 1.0)


def test_two_stars_search_to_the_bottom(folder: Path) -> None:
    (folder / "deep" / "deeper").mkdir()
    (folder / "deep" / "deeper" / "c.png").write_bytes((folder / "a.png").read_bytes())
    assert [i.path.name for i in find_images([str(folder / "**" / "c.png")])] == ["c.png"]
