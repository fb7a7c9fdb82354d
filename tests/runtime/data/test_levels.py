"""Levels of 16-bit images, against plain arithmetic."""

import struct
import zlib
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ConfigError, DataWarning
from runtime.data.images import ImageSource, load_scan
from runtime.data.levels import LevelRange, stated_range
from tests.support.pictures import Pixels, encoded, tiff

TWELVE_BITS = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""Every level of 12 bits."""
TWELVE_BITS_SEEN = np.rint(TWELVE_BITS * (255.0 / 4095.0))


def gray_of(source: ImageSource, **options: Any) -> Pixels:
    return load_scan(source, **options).pixels[..., 0]


def test_the_white_level_that_a_tiff_states_is_white() -> None:
    np.testing.assert_array_equal(
        gray_of(tiff(TWELVE_BITS, s_max_sample_value=4095)), TWELVE_BITS_SEEN
    )


@pytest.mark.parametrize(
    ("bits", "stated", "white"),
    [(8, None, 65535), (9, None, 511), (12, None, 4095), (16, None, 65535), (12, 1023, 1023)],
)
def test_the_white_level_of_a_tiff_is_stated_or_what_its_bits_allow(
    bits: int, stated: int | None, white: int
) -> None:
    tags = {258: (bits,), 262: 1} | ({} if stated is None else {341: stated})
    image = cast(Image.Image, SimpleNamespace(format="TIFF", tag_v2=tags))
    assert stated_range(image, b"") == LevelRange(white)


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


@pytest.mark.filterwarnings("ignore::runtime.core.errors.DataWarning")  # the levels are dark
def test_the_transparent_level_of_a_16_bit_png_is_black() -> None:
    levels = np.array([[257 * 10, 257 * 20], [257 * 30, 257 * 20]], np.uint16)
    chunk = struct.pack(">I4sH", 2, b"tRNS", 257 * 20)
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    plain = encoded(Image.fromarray(levels))
    marked = plain[:33] + chunk + plain[33:]
    assert load_scan(marked).pixels[..., 0].tolist() == [[10, 0], [30, 0]]
