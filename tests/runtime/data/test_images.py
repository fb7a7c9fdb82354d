"""Decoding and resizing, against Pillow and plain arithmetic."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageOps

from runtime.core.errors import ConfigError, DataWarning, ImageError
from runtime.data import images
from runtime.data.coco import Dataset
from runtime.data.images import ImageSource, load_scan, resize_map, to_input

Pixels = NDArray[np.uint8]
BILINEAR = Image.Resampling.BILINEAR


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def smooth(height: int, width: int) -> Image.Image:
    """A picture with structure, as JPEG likes it."""
    return Image.fromarray(noise(8, 8, 3)).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def over_black(color: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    return color.astype(np.float64) * alpha[..., None].astype(np.float64) / 255.0


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", b""), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# Modes


def test_a_gray_image_has_three_equal_channels() -> None:
    gray = noise(5, 7)
    pixels = load_scan(encoded(Image.fromarray(gray))).pixels
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.stack([gray] * 3, axis=2))


def test_16_bit_levels_are_divided_by_257_and_rounded() -> None:
    levels = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    image = Image.fromarray(levels)
    assert image.mode == "I;16"
    expected = np.rint(levels / 257.0)
    for source in (encoded(image), encoded(image, "TIFF"), image, levels):
        pixels = load_scan(source).pixels
        for channel in range(3):
            np.testing.assert_array_equal(pixels[..., channel], expected)


def palette_image(indices: NDArray[Any], colors: NDArray[Any]) -> Image.Image:
    image = Image.fromarray(indices).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colors.tobytes())
    return image


def test_a_palette_image_has_its_palettes_colors() -> None:
    indices, colors = noise(6, 5) & 3, noise(4, 3)
    content = encoded(palette_image(indices, colors))
    assert Image.open(io.BytesIO(content)).mode == "P"
    np.testing.assert_array_equal(load_scan(content).pixels, colors[indices])


def test_a_transparent_palette_entry_is_black() -> None:
    indices, colors = noise(6, 5) & 3, noise(4, 3) | 1
    content = encoded(palette_image(indices, colors), transparency=2)
    colors[2] = 0
    np.testing.assert_array_equal(load_scan(content).pixels, colors[indices])


def test_half_transparent_palette_entries_are_laid_over_black() -> None:
    indices, colors, alpha = noise(6, 5) & 3, noise(4, 3), noise(4, seed=1)
    content = encoded(palette_image(indices, colors), transparency=alpha.tobytes())
    expected = over_black(colors[indices], alpha[indices])
    np.testing.assert_allclose(load_scan(content).pixels, expected, atol=1.0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "array"])
def test_rgba_is_laid_over_black(kind: str) -> None:
    rgba = noise(9, 8, 4)
    rgba[0, :, 3], rgba[1, :, 3] = 0, 255
    source = rgba if kind == "array" else encoded(Image.fromarray(rgba), kind)
    pixels = load_scan(source).pixels
    np.testing.assert_allclose(pixels, over_black(rgba[..., :3], rgba[..., 3]), atol=1.0)
    assert not pixels[0].any()
    np.testing.assert_array_equal(pixels[1], rgba[1, :, :3])


def test_gray_with_alpha_is_laid_over_black() -> None:
    gray, alpha = noise(6, 5), noise(6, 5, seed=1)
    image = Image.merge("LA", [Image.fromarray(gray), Image.fromarray(alpha)])
    expected = over_black(np.stack([gray] * 3, axis=2), alpha)
    np.testing.assert_allclose(load_scan(encoded(image)).pixels, expected, atol=1.0)


@pytest.mark.parametrize(("mode", "color"), [("L", 9), ("RGB", (9, 8, 7)), ("I;16", 999)])
def test_a_png_color_marked_as_transparent_is_black(mode: str, color: Any) -> None:
    content = encoded(Image.new(mode, (4, 3), color), transparency=color)
    assert "transparency" in Image.open(io.BytesIO(content)).info
    assert not load_scan(content).pixels.any()


def test_one_bit_becomes_black_and_white() -> None:
    bits = noise(6, 11) > 127
    content = encoded(Image.fromarray(bits))
    assert Image.open(io.BytesIO(content)).mode == "1"
    expected = np.where(bits, 255, 0)
    np.testing.assert_array_equal(load_scan(content).pixels, np.stack([expected] * 3, axis=2))


def test_a_cmyk_jpeg_has_the_colors_it_was_made_from() -> None:
    picture = smooth(64, 48)
    content = encoded(picture.convert("CMYK"), "JPEG", quality=95)
    opened = Image.open(io.BytesIO(content))
    assert opened.mode == "CMYK"
    pixels = load_scan(content).pixels
    np.testing.assert_array_equal(pixels, np.asarray(opened.convert("RGB")))
    lost = np.abs(pixels.astype(int) - np.asarray(picture).astype(int)).mean()
    inverted = np.abs(255 - pixels.astype(int) - np.asarray(picture).astype(int)).mean()
    assert lost < inverted / 10


def test_an_image_of_one_pixel_is_read_and_grown() -> None:
    content = encoded(Image.new("RGB", (1, 1), (1, 2, 3)))
    assert load_scan(content).pixels.tolist() == [[[1, 2, 3]]]
    scan = load_scan(content, (4, 5))
    assert scan.original_size == (1, 1)
    np.testing.assert_array_equal(scan.pixels, np.full((4, 5, 3), [1, 2, 3]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_an_image_is_turned_upright_as_its_tag_says_in_every_format(kind: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = Image.fromarray(noise(16, 32, 3)) if kind != "JPEG" else smooth(16, 32)
    content = encoded(picture, kind, exif=exif, **options)
    opened = Image.open(io.BytesIO(content))
    opened.load()
    upright = opened if kind == "TIFF" else ImageOps.exif_transpose(opened)
    scan = load_scan(content)
    np.testing.assert_array_equal(scan.pixels, np.asarray(upright.convert("RGB")))
    assert scan.original_size == ((32, 16) if tag >= 5 else (16, 32))
    small = load_scan(content, (8, 4)).pixels
    assert small.shape == (8, 4, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_an_image_of_the_stated_size_as_stored_is_not_turned(kind: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    picture = smooth(16, 32)
    plain = encoded(picture, kind)
    turned = encoded(picture, kind, exif=exif)
    if tag >= 5:  # only then do the sizes tell
        scan = load_scan(turned, stated_size=(16, 32))
        np.testing.assert_array_equal(scan.pixels, load_scan(plain).pixels)
        assert scan.original_size == (16, 32)
    for stated in ((32, 16), (17, 40), None):
        upright = load_scan(turned, stated_size=stated)
        np.testing.assert_array_equal(upright.pixels, load_scan(turned).pixels)


def test_a_large_upright_jpeg_is_decoded_at_a_fraction_of_its_stored_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(smooth(128, 512), "JPEG", exif=exif)
    stored = Image.open(io.BytesIO(content))
    stored.draft("RGB", (128, 32))
    turned = stored.transpose(Image.Transpose.ROTATE_270)
    assert turned.size == (32, 128)
    np.testing.assert_array_equal(load_scan(content, (128, 32)).pixels, np.asarray(turned))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_data_turn_nothing(kind: str) -> None:
    content = encoded(smooth(16, 32), kind, exif=b"Exif\0\0II*\0" + b"\xff" * 40)
    assert load_scan(content).original_size == (16, 32)


# 16 bits


def tiff(levels: NDArray[np.uint16], **tags: int) -> bytes:
    """A TIFF of one strip with further fields, by hand: Pillow writes none of these."""
    names = {"photometric": 262, "s_max_sample_value": 341, "subfile_type": 254}
    height, width = levels.shape
    fields = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    fields |= {279: levels.nbytes} | {names[name]: value for name, value in tags.items()}
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag in (258, 259, 262, 277, 341) else 4, 1, value)
        for tag, value in sorted(fields.items())
    )
    directory = struct.pack("<H", len(fields)) + entries + bytes(4)
    return (
        struct.pack("<2sHI", b"II", 42, 8 + levels.nbytes)
        + levels.astype("<u2").tobytes()
        + directory
    )


TWELVE_BITS = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""Every level of 12 bits."""
TWELVE_BITS_SEEN = np.rint(TWELVE_BITS * (255.0 / 4095.0))


def gray_of(source: ImageSource, **options: Any) -> Pixels:
    return load_scan(source, **options).pixels[..., 0]


def test_the_white_level_that_a_tiff_states_is_white() -> None:
    np.testing.assert_array_equal(
        gray_of(tiff(TWELVE_BITS, s_max_sample_value=4095)), TWELVE_BITS_SEEN
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "array", "image"])
def test_an_intensity_is_the_level_that_is_white(kind: str) -> None:
    image = Image.fromarray(TWELVE_BITS)
    sources: dict[str, ImageSource] = {"array": TWELVE_BITS, "image": image}
    source = sources[kind] if kind in sources else encoded(image, kind)
    np.testing.assert_array_equal(gray_of(source, intensity=4095), TWELVE_BITS_SEEN)
    assert gray_of(source, intensity=2047).max() == 255  # what is above is white too


@pytest.mark.parametrize("intensity", [0, -1, 65536])
def test_an_intensity_out_of_range_is_refused(intensity: int) -> None:
    with pytest.raises(ConfigError, match=f"from 1 to 65535, found {intensity}"):
        load_scan(TWELVE_BITS, intensity=intensity)


@pytest.mark.parametrize("source", ["PNG", "TIFF", "array"])
def test_levels_in_less_than_an_eighth_of_the_range_are_warned_about(source: str) -> None:
    image = TWELVE_BITS if source == "array" else encoded(Image.fromarray(TWELVE_BITS), source)
    with pytest.warns(DataWarning, match=r"levels up to 4095 of 65535 .* give --intensity 4095"):
        dark = gray_of(image)
    np.testing.assert_array_equal(dark, np.rint(TWELVE_BITS / 257.0))


@pytest.mark.parametrize("highest", [0, 8192, 65535])
def test_black_images_and_those_with_an_eighth_are_not_warned_about(highest: int) -> None:
    gray_of(np.full((2, 2), highest, np.uint16))  # a warning is an error in these tests


def test_16_bit_levels_with_white_as_zero_are_inverted_as_8_bit_ones_are() -> None:
    levels = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    normal = gray_of(tiff(levels))
    np.testing.assert_array_equal(gray_of(tiff(levels, photometric=0)), 255 - normal)
    np.testing.assert_array_equal(
        gray_of(tiff(TWELVE_BITS, photometric=0, s_max_sample_value=4095)), 255 - TWELVE_BITS_SEEN
    )


def with_significant_bits(content: bytes, bits: int) -> bytes:
    chunk = b"sBIT" + bytes([bits])
    checksum = struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + struct.pack(">I", 1) + chunk + checksum + content[33:]


def test_significant_bits_of_a_png_count_where_the_levels_are_not_scaled() -> None:
    stored = with_significant_bits(encoded(Image.fromarray(TWELVE_BITS)), 12)
    np.testing.assert_array_equal(gray_of(stored), TWELVE_BITS_SEEN)
    scaled = TWELVE_BITS << 4 | TWELVE_BITS >> 8  # as the specification of PNG recommends
    content = with_significant_bits(encoded(Image.fromarray(scaled)), 12)
    np.testing.assert_array_equal(gray_of(content), np.rint(scaled / 257.0))


def test_a_dark_16_bit_color_image_is_warned_about_and_cannot_be_scaled() -> None:
    rows = np.full((4, 5 * 3), 4000, ">u2")
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    start = png_header(5, 4)[:8]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)), (b"IDAT", packed)]
    content = start + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*parts, (b"IEND", b"")]
    )
    with pytest.warns(DataWarning, match="16-bit colors up to 3840 of 65535 .* 8 bits"):
        assert load_scan(content).pixels.max() == 15
    with pytest.raises(ImageError, match="color images of 16 bits are read at 8 bits"):
        load_scan(content, intensity=4095)


# Files of several images


def frames(kind: str) -> tuple[bytes, list[Pixels]]:
    pictures = [noise(12, 10, 3, seed=seed) for seed in range(3)]
    first, *others = (Image.fromarray(picture) for picture in pictures)
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(first, kind, save_all=True, append_images=others, **options), pictures


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_a_file_of_several_images_needs_a_choice(kind: str) -> None:
    content, pictures = frames(kind)
    with pytest.raises(ImageError, match=r"a file of 3 images, .* choose it with --frame"):
        load_scan(content)
    for number, picture in enumerate(pictures, 1):
        np.testing.assert_array_equal(load_scan(content, frame=number).pixels, picture)
    for number in (0, 4):
        with pytest.raises(ImageError, match=f"no frame {number}, the frames are 1 to 3"):
            load_scan(content, frame=number)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "JPEG", "BMP"])
def test_the_only_image_of_a_file_is_its_first_frame(kind: str) -> None:
    content = encoded(smooth(12, 10), kind)
    np.testing.assert_array_equal(load_scan(content, frame=1).pixels, load_scan(content).pixels)


@pytest.mark.parametrize(("kind", "frames"), [(0, 2), (1, 1), (4, 1)])
def test_smaller_versions_and_masks_of_a_tiffs_page_are_no_frames(kind: int, frames: int) -> None:
    first = tiff(np.full((12, 10), 65535, np.uint16))
    second = tiff(np.full((12, 10), 65535, np.uint16), subfile_type=kind)
    directory = second[struct.unpack_from("<I", second, 4)[0] :]  # its pixels are the first page's
    content = first[:-4] + struct.pack("<I", len(first)) + directory
    assert Image.open(io.BytesIO(content)).n_frames == 2  # type: ignore[attr-defined]
    assert load_scan(content, frame=frames).original_size == (12, 10)
    with pytest.raises(ImageError, match=f"the frames are 1 to {frames}"):
        load_scan(content, frame=frames + 1)


def test_a_tiff_whose_pages_form_a_ring_ends() -> None:
    content = bytearray(tiff(np.full((2, 2), 65535, np.uint16)))
    content[-4:] = content[4:8]
    assert load_scan(bytes(content)).original_size == (2, 2)


def test_floating_point_images_are_refused() -> None:
    image = Image.fromarray(np.zeros((2, 2), np.float32))
    with pytest.raises(ImageError, match="floating point"):
        load_scan(encoded(image, "TIFF"))


def test_32_bit_levels_beyond_16_bits_are_refused_not_wrapped() -> None:
    with pytest.raises(ImageError):
        load_scan(Image.fromarray(np.array([[0, 65536 + 257]], np.int32)))


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
        np.zeros((3, 3, 1), np.uint8),
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


# Input and output of a network


def test_the_input_is_the_levels_divided_by_255_channels_first() -> None:
    pixels = noise(5, 7, 3)
    array = to_input(pixels)
    assert array.dtype == np.float32
    expected = np.moveaxis(pixels, 2, 0) / 255.0
    np.testing.assert_allclose(array, expected, rtol=2.0**-22)
    whole_range = to_input(np.array([[[0, 128, 255]]], np.uint8))
    assert whole_range.min() == 0.0
    assert whole_range.max() == 1.0


def test_the_input_is_written_into_the_given_buffer() -> None:
    pixels = noise(5, 7, 3)
    batch = np.full((2, 3, 5, 7), np.nan, np.float32)
    result = to_input(pixels, out=batch[1])
    assert np.shares_memory(result, batch)
    np.testing.assert_array_equal(batch[1], to_input(pixels))
    assert np.isnan(batch[0]).all()


MAPS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(0, 1, width=32),
)


@given(MAPS, st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_resized_map_has_its_size_and_stays_within_its_values(
    values: NDArray[np.float32], height: int, width: int
) -> None:
    resized = resize_map(values, (height, width))
    assert resized.shape == (height, width)
    assert resized.dtype == np.float32
    assert resized.min() >= 0.0
    assert resized.max() <= 1.0
    slack = 2.0**-20
    assert values.min() - slack <= resized.min() <= resized.max() <= values.max() + slack


def test_a_map_of_the_asked_size_is_not_changed() -> None:
    values = np.random.default_rng(0).random((5, 6), np.float32)
    np.testing.assert_array_equal(resize_map(values, (5, 6)), values)


def test_a_map_that_is_a_view_is_resized_as_it_is_seen() -> None:
    values = np.random.default_rng(0).random((12, 10), np.float32)
    view = values[::2, ::-1]
    np.testing.assert_array_equal(resize_map(view, (9, 9)), resize_map(view.copy(), (9, 9)))


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


@pytest.mark.filterwarnings("ignore::runtime.core.errors.DataWarning")  # the levels are dark
def test_the_transparent_level_of_a_16_bit_png_is_black() -> None:
    levels = np.array([[257 * 10, 257 * 20], [257 * 30, 257 * 20]], np.uint16)
    chunk = struct.pack(">I4sH", 2, b"tRNS", 257 * 20)
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    plain = encoded(Image.fromarray(levels))
    marked = plain[:33] + chunk + plain[33:]
    assert load_scan(marked).pixels[..., 0].tolist() == [[10, 0], [30, 0]]


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8), (8, 8193)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_that_cannot_be_is_refused_before_decoding(size: tuple[int, int], kind: str) -> None:
    content = encoded(smooth(16, 16), kind)
    with pytest.raises(ConfigError, match="expected 1 to 8192 pixels a side, found "):
        load_scan(content[:-20], size)
