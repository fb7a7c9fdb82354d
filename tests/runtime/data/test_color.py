"""Images of every mode become RGB, against Pillow and plain arithmetic."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import DataWarning, ImageError
from runtime.data.images import load_scan
from tests.support.pictures import encoded, noise, smooth


def over_black(color: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    return color.astype(np.float64) * alpha[..., None].astype(np.float64) / 255.0


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


def bitfields_bmp(rgba: NDArray[np.uint8]) -> bytes:
    """Return a BMP of 32 bits whose header names a mask for alpha (BITMAPV4HEADER)."""
    height, width, _ = rgba.shape
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, -height, 1, 32, 3, 0, 0, 0, 0, 0)
    pixels = rgba[..., [2, 1, 0, 3]].tobytes()
    content = header + masks + bytes(108 - len(header) - len(masks)) + pixels
    return struct.pack("<2sIHHI", b"BM", 14 + len(content), 0, 0, 14 + 108) + content


@pytest.mark.parametrize("alpha", [0, 9])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "LA", "array"])
def test_a_picture_that_is_transparent_everywhere_keeps_its_colors(kind: str, alpha: int) -> None:
    rgba = noise(9, 8, 4)
    rgba[..., 3] = alpha
    source: Any = rgba
    if kind == "LA":
        rgba[..., 1] = rgba[..., 2] = rgba[..., 0]
        source = encoded(Image.fromarray(np.ascontiguousarray(rgba[..., [0, 3]]), "LA"))
    elif kind == "BMP":
        source = bitfields_bmp(rgba)
    elif kind != "array":
        source = encoded(Image.fromarray(rgba), kind, lossless=True, exact=True)
    with pytest.warns(DataWarning, match="its colors are used as if it were opaque"):
        pixels = load_scan(source).pixels
    np.testing.assert_array_equal(pixels, rgba[..., :3])


def test_a_picture_in_the_transparency_alone_is_reported() -> None:
    gray = np.zeros((9, 8), np.uint8)
    image = Image.merge("LA", [Image.fromarray(gray), Image.fromarray(noise(9, 8))])
    with pytest.warns(DataWarning, match="black, because only its transparency has a picture"):
        assert not load_scan(encoded(image)).pixels.any()


@pytest.mark.parametrize("color", [0, 200])
@pytest.mark.parametrize("alpha", [0, 255])
def test_one_color_is_no_picture(color: int, alpha: int) -> None:
    image = Image.new("LA", (4, 3), (color, alpha))
    assert (load_scan(encoded(image)).pixels == color * (alpha > 0)).all()  # and no warning


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


def test_floating_point_images_are_refused() -> None:
    image = Image.fromarray(np.zeros((2, 2), np.float32))
    with pytest.raises(ImageError, match="floating point"):
        load_scan(encoded(image, "TIFF"))


def test_32_bit_levels_beyond_16_bits_are_refused_not_wrapped() -> None:
    with pytest.raises(ImageError):
        load_scan(Image.fromarray(np.array([[0, 65536 + 257]], np.int32)))
