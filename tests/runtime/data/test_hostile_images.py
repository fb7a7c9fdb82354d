"""Images that ask for more than they hold."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data import images
from runtime.data.images import load_scan
from tests.support.memory_bound import bounded


def encoded(form: str, side: int = 8, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, form, **options)
    return stream.getvalue()


def refuse_image(content: bytes, words: str) -> None:
    for size in ((32, 32), None):
        with bounded(), pytest.raises(ImageError, match=words):
            load_scan(content, size)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    rows: bytes, size: tuple[int, int], bits: int = 8, color: int = 0, interlaced: int = 0
) -> bytes:
    """A whole PNG of (height, width) in every respect but, it may be, its rows."""
    header = struct.pack(">IIBBBBB", size[1], size[0], bits, color, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(12)) if color == 3 else b""
    data = chunk(b"IDAT", zlib.compress(rows))
    return encoded("PNG")[:8] + chunk(b"IHDR", header) + palette + data + chunk(b"IEND", b"")


def png_with(*chunks: bytes) -> bytes:
    plain = encoded("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def claims(form: str, side: int) -> bytes:
    content = bytearray(encoded(form))
    if form == "PNG":
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif form == "JPEG":
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = struct.pack(">HH", side, side)
    else:
        content[18:26] = struct.pack("<ii", side, side)
    return bytes(content)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_an_image_that_claims_60000x60000(form: str) -> None:
    refuse_image(claims(form, 60_000), "image too large, more than 67108864 pixels")


def test_the_example_of_a_higher_limit_works(monkeypatch: pytest.MonkeyPatch) -> None:
    lie = png(bytes(13_379), (13_378, 13_378))  # beyond twice Pillow's limit
    refuse_image(lie, "image too large, more than 67108864 pixels")
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 28)
    refuse_image(lie, f"image too large, more than {Image.MAX_IMAGE_PIXELS} pixels")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example)
    with bounded(), pytest.raises(ImageError, match="incomplete image, with 13379 of"):
        load_scan(lie)
    refuse_image(png(b"", (16_385, 16_385)), "image too large, more than 268435456 pixels")


def test_a_large_ancillary_part_takes_no_more_than_a_few_times_its_size() -> None:
    large = png_with(chunk(b"abCd", bytes(16 << 20)))
    with bounded():
        assert load_scan(large).original_size == (8, 8)
    segment = b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)
    jpeg = encoded("JPEG")
    with bounded(100):
        assert load_scan(jpeg[:2] + segment * 256 + jpeg[2:]).original_size == (8, 8)
