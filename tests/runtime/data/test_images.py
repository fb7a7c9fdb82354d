"""Decoding of images from every source, against Pillow."""

import io
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError, ImageError
from runtime.data import images
from runtime.data.coco import Dataset
from runtime.data.images import ImageSource, load_scan
from tests.support.pictures import encoded, noise, png_header, smooth

BILINEAR = Image.Resampling.BILINEAR


# Sources


@pytest.mark.parametrize("size", [None, (10, 40)], ids=["own size", "resized"])
def test_path_bytes_image_and_array_agree(tmp_path: Path, size: tuple[int, int] | None) -> None:
    array = noise(20, 30, 3)
    image = Image.fromarray(array)
    path = tmp_path / "a.png"
    image.save(path)
    sources: list[ImageSource] = [str(path), path, path.read_bytes(), image, array]
    first, *others = (load_scan(source, size) for source in sources)
    assert first.original_size == (20, 30)
    assert first.pixels.shape == (*(size or (20, 30)), 3)
    for other in others:
        assert other.original_size == first.original_size
        np.testing.assert_array_equal(other.pixels, first.pixels)


def test_resizing_is_pillows_antialiased_bilinear_filter() -> None:
    picture = smooth(50, 70)
    expected = np.asarray(picture.resize((20, 30), BILINEAR))
    np.testing.assert_array_equal(load_scan(encoded(picture), (30, 20)).pixels, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_stand_for_levels_from_0_to_255(dtype: type[np.floating[Any]]) -> None:
    levels = np.arange(256).reshape(16, 16)
    pixels = load_scan((levels / 255).astype(dtype)).pixels
    np.testing.assert_array_equal(pixels[..., 0], levels)


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, np.nan, np.inf, -np.inf])
def test_floats_outside_0_to_1_are_refused(value: float) -> None:
    array = np.full((3, 3), 0.5)
    array[1, 2] = value
    with pytest.raises(ImageError, match=r"ndarray.*\[0, 1\]"):
        load_scan(array)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3), np.int64),
        np.zeros((3, 3), bool),
        np.zeros((3, 3), np.complex64),
        np.zeros((3, 3), object),
        np.zeros((3, 3, 2), np.uint8),
        np.zeros((1, 3, 3, 3), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((3, 0, 3), np.float32),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_arrays_that_are_no_image_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="ndarray"):
        load_scan(array)


def test_an_image_is_left_as_the_caller_gave_it() -> None:
    content = encoded(smooth(64, 64), "JPEG")
    given_image = Image.open(io.BytesIO(content))
    plain = Image.open(io.BytesIO(content)).resize((8, 8), BILINEAR)
    scan = load_scan(given_image, (8, 8))
    np.testing.assert_array_equal(scan.pixels, np.asarray(plain))
    assert given_image.size == (64, 64)
    np.testing.assert_array_equal(load_scan(given_image).pixels, load_scan(content).pixels)


def test_an_array_is_left_as_the_caller_gave_it() -> None:
    array = np.linspace(0, 1, 48).reshape(4, 4, 3)
    before = array.copy()
    load_scan(array, (2, 2))
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8), (8, 8193)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_that_cannot_be_is_refused_before_decoding(size: tuple[int, int], kind: str) -> None:
    content = encoded(smooth(16, 16), kind)
    with pytest.raises(ConfigError, match="expected 1 to 8192 pixels a side, found "):
        load_scan(content[:-20], size)


# Scaled decoding


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_a_jpeg_comes_at_the_asked_size_and_keeps_its_original_one(
    height: int, width: int, rows: int, columns: int
) -> None:
    scan = load_scan(encoded(smooth(height, width), "JPEG"), (rows, columns))
    assert scan.original_size == (height, width)
    assert scan.pixels.shape == (rows, columns, 3)


@pytest.mark.parametrize(("size", "whole"), [((64, 64), True), ((32, 33), True), ((32, 32), False)])
def test_only_a_jpeg_of_twice_the_size_is_decoded_at_a_fraction(
    size: tuple[int, int], whole: bool
) -> None:
    content = encoded(Image.fromarray(noise(65, 65, 3)), "JPEG")
    plain = Image.open(io.BytesIO(content)).resize((size[1], size[0]), BILINEAR)
    assert np.array_equal(load_scan(content, size).pixels, np.asarray(plain)) is whole


@pytest.mark.parametrize(
    ("side", "mean", "most"), [(64, 3.0, 15.0), (128, 2.0, 10.0), (256, 2.0, 10.0)]
)
def test_scaled_decoding_changes_less_than_another_filter_would(
    real_data: Dataset, side: int, mean: float, most: float
) -> None:
    for sample in real_data.split("valid").samples[::20]:
        with Image.open(sample.path) as opened:
            full = opened.convert("RGB")
        plain, lanczos = (
            np.asarray(full.resize((side, side), kind)).astype(np.float64)
            for kind in (BILINEAR, Image.Resampling.LANCZOS)
        )
        scaled = load_scan(sample.path, (side, side)).pixels
        difference = np.abs(scaled - plain)
        assert difference.mean() < np.abs(lanczos - plain).mean(), sample.file_name
        # What the README states of 128x128 and 256x256.
        assert difference.mean() < mean
        assert np.quantile(difference, 0.99) <= most


@pytest.mark.parametrize(
    ("original", "size", "scale"),
    [
        ((256, 1024), (64, 256), 4),
        ((1024, 256), (256, 64), 4),
        ((512, 2048), (64, 256), 8),
        ((256, 1024), (128, 256), 2),
        ((256, 1024), (64, 1024), 1),
    ],
)
def test_a_jpeg_is_decoded_at_the_fraction_that_both_sides_allow(
    original: tuple[int, int], size: tuple[int, int], scale: int
) -> None:
    content = encoded(smooth(*original), "JPEG")
    image = Image.open(io.BytesIO(content))
    image.draft("RGB", (original[1] // scale, original[0] // scale))
    assert image.size == (original[1] // scale, original[0] // scale)
    expected = np.asarray(image.resize((size[1], size[0]), BILINEAR))
    np.testing.assert_array_equal(load_scan(content, size).pixels, expected)


# Damage


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "scan.jpg"
    path.write_bytes(encoded(smooth(64, 64), "JPEG"))
    return path


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_jpeg_names_the_file(jpeg: Path, share: float) -> None:
    content = jpeg.read_bytes()
    jpeg.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError, match=r"scan\.jpg"):
        load_scan(jpeg, (16, 16))
    with pytest.raises(ImageError, match=r"scan\.jpg"):
        load_scan(jpeg)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"no image, but text", "not a JPEG"), (b"", "empty file"), (b"GIF89a", "not a JPEG")],
    ids=["text", "empty", "GIF"],
)
def test_a_file_that_is_no_image_says_so(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"scan\.png: {found}"):
        load_scan(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.png"):
        load_scan(tmp_path / "absent.png")
    with pytest.raises(ImageError, match=f"{tmp_path.name}.*folder"):
        load_scan(tmp_path)


@pytest.mark.parametrize("side", [9000, 10_000, 60_000])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_too_many_pixels_are_refused_from_the_header(
    side: int, action: Literal["ignore", "error"]
) -> None:
    # Between 89 and 179 million pixels Pillow warns of its own accord.
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match=f"(expected 1 to|more than) {1 << 26} pixels"):
            load_scan(png_header(side, side), (8, 8))


@pytest.mark.parametrize("kind", ["array", "image", "bytes"])
def test_the_bound_on_pixels_holds_for_every_source(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 16)

    def source(height: int, width: int) -> ImageSource:
        array = noise(height, width)
        image = Image.fromarray(array)
        sources: dict[str, ImageSource] = {
            "array": array,
            "image": image,
            "bytes": encoded(image),
        }
        return sources[kind]

    assert load_scan(source(4, 4)).original_size == (4, 4)
    with pytest.raises(ImageError, match=r"expected 1 to 16"):
        load_scan(source(1, 17))


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, images.MAX_FILE_BYTES + 1)  # sparse: takes no disk
    with pytest.raises(ImageError, match=r"huge\.png: file too large"):
        load_scan(path)


ENCODED = [
    encoded(smooth(20, 24)),
    encoded(smooth(20, 24).convert("P")),
    encoded(smooth(20, 24), "JPEG"),
    encoded(smooth(20, 24), "BMP"),
    encoded(smooth(20, 24), "TIFF"),
    encoded(smooth(20, 24), "WEBP"),
]


@given(
    st.sampled_from(ENCODED),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5),
    st.floats(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_an_image_or_an_image_error(
    content: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place * (len(damaged) - 1))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        try:
            scan = load_scan(bytes(damaged[: int(len(damaged) * kept)]), (8, 8))
        except ImageError:
            return
    assert scan.pixels.shape == (8, 8, 3)


def test_an_open_file_and_an_array_with_one_channel_are_images(tmp_path: Path) -> None:
    levels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    path = tmp_path / "scan.png"
    Image.fromarray(levels).save(path)
    expected = load_scan(path).pixels
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_scan(file).pixels, expected)
    np.testing.assert_array_equal(load_scan(levels[..., None]).pixels, expected)
    with (
        path.open(encoding="latin-1") as text,
        pytest.raises(ImageError, match="binary mode, 'rb'"),
    ):
        load_scan(text)  # type: ignore[arg-type]


def test_an_open_file_that_is_too_large_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.data.images.MAX_FILE_BYTES", 100)
    with pytest.raises(ImageError, match="<BytesIO>: expected at most 100 bytes, found more"):
        load_scan(io.BytesIO(bytes(1000)))
