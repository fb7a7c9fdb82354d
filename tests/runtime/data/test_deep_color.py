"""Color images of 16 bits, against plain arithmetic."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.core.errors import DataWarning, ImageError
from runtime.data.images import load_scan

Levels = NDArray[np.uint16]
COLOR_TYPES = {2: 4, 3: 2, 4: 6}
"""PNG's color types by number of channels."""


def png(levels: Levels) -> bytes:
    height, width, channels = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def tiff(levels: Levels, order: str = "<", *, compressed: bool = False) -> bytes:
    height, width, channels = levels.shape
    data = levels.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compressed else data
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    shorts = {259: 8 if compressed else 1, 262: 2, 277: channels}
    shorts |= {338: 2} if channels == 4 else {}
    longs = {256: width, 257: height, 273: 8 + len(bits), 278: height, 279: len(data)}
    entries = {tag: struct.pack(f"{order}HHIHH", tag, 3, 1, v, 0) for tag, v in shorts.items()}
    entries |= {tag: struct.pack(f"{order}HHII", tag, 4, 1, v) for tag, v in longs.items()}
    entries[258] = struct.pack(f"{order}HHII", 258, 3, channels, 8)
    start = struct.pack(f"{order}HI", 42, 8 + len(bits) + len(data))
    directory = struct.pack(f"{order}H", len(entries))
    directory += b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return (b"II" if order == "<" else b"MM") + start + bits + data + directory


FORMATS: dict[str, Callable[[Levels], bytes]] = {
    "PNG": png,
    "TIFF, little-endian": tiff,
    "TIFF, big-endian": lambda levels: tiff(levels, ">"),
    "TIFF, compressed": lambda levels: tiff(levels, compressed=True),
    "TIFF, compressed, big-endian": lambda levels: tiff(levels, ">", compressed=True),
}


def twelve_bits(channels: int = 3) -> Levels:
    return np.random.default_rng(0).integers(0, 4096, (9, 7, channels), dtype=np.uint16)


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("white", [4095, 2047])
def test_16_bit_colors_are_scaled_to_an_intensity(
    write: Callable[[Levels], bytes], white: int
) -> None:
    levels = twelve_bits()
    expected = np.rint(np.minimum(levels, white) * (255.0 / white))
    np.testing.assert_array_equal(load_scan(write(levels), intensity=white).pixels, expected)


@pytest.mark.parametrize("write", [png, tiff])
def test_transparency_is_not_scaled(write: Callable[[Levels], bytes]) -> None:
    levels = twelve_bits(4)
    levels[..., 3] = 65535
    levels[0, :, 3] = 0
    expected = np.rint(levels[..., :3] * (255.0 / 4095))
    expected[0] = 0
    np.testing.assert_array_equal(load_scan(write(levels), intensity=4095).pixels, expected)


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_without_an_intensity_the_upper_bytes_are_used(write: Callable[[Levels], bytes]) -> None:
    levels = twelve_bits() * np.uint16(16)
    np.testing.assert_array_equal(load_scan(write(levels)).pixels, levels >> 8)
    np.testing.assert_array_equal(load_scan(write(levels), intensity=65535).pixels, levels >> 8)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [12, 8])
def test_dark_16_bit_colors_are_warned_about(channels: int, bits: int) -> None:
    levels = np.full((4, 5, channels), (1 << bits) - 1, np.uint16)
    if channels == 4:
        levels[..., 3] = 65535  # its alpha is no level of the picture
    with pytest.warns(DataWarning, match=f"levels up to {(1 << bits) - 1} of 65535 .* --intensity"):
        assert load_scan(png(levels)).pixels.max() == 255 >> (16 - bits)


def test_gray_with_alpha_of_16_bits_cannot_be_scaled() -> None:
    levels = twelve_bits(2)
    levels[..., 1] = 65535
    with pytest.raises(ImageError, match="lower bytes of these 16-bit colors"):
        load_scan(png(levels), intensity=4095)


def test_black_16_bit_colors_are_not_warned_about() -> None:
    assert not load_scan(png(np.zeros((4, 5, 3), np.uint16))).pixels.any()
