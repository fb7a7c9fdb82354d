"""Images that ask for more than they hold."""

import io
import struct
import zlib
from typing import Any

import pytest
from memory_bound import bounded
from PIL import Image

from runtime import image_structure
from runtime.errors import ImageError
from runtime.images import load_scan


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


def png_with(*chunks: bytes) -> bytes:
    plain = encoded("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def tiff(*fields: tuple[int, int, int, int], data: bytes = bytes(64)) -> bytes:
    """A grey TIFF of 8x8 with more fields: tag, type, count, value (-1: where the data lie)."""
    start = 10 + 12 * (len(fields) + 6) + 4
    plain = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
             (277, 3, 1, 1)]  # fmt: skip
    told = {tag for tag, *_ in fields}
    entries = sorted([*(f for f in plain if f[0] not in told), *fields])
    directory = b"".join(struct.pack("<HHIi", *f[:3], start if f[3] < 0 else f[3]) for f in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    return head.ljust(start, b"\0") + data


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
    refuse_image(claims(form, 60_000), "expected 1 to 67108864 pixels, found more")


def test_a_tiff_that_claims_60000x60000() -> None:
    sides = ((256, 4, 1, 60_000), (257, 4, 1, 60_000), (278, 4, 1, 60_000))
    content = tiff(*sides, (273, 4, 1, -1), (279, 4, 1, 64))
    refuse_image(content, "expected 1 to 67108864 pixels, found more")


@pytest.mark.parametrize(
    ("kind", "head"),
    [(b"iCCP", b"p\0\0"), (b"zTXt", b"p\0\0"), (b"iTXt", b"p\0\1\0\0\0")],
    ids=["iCCP", "zTXt", "iTXt"],
)
def test_a_png_chunk_that_grows_a_thousandfold(kind: bytes, head: bytes) -> None:
    bomb = png_with(chunk(kind, head + zlib.compress(bytes(100 << 20))))
    refuse_image(bomb, "expected an image")


def test_a_png_with_text_in_many_chunks() -> None:
    packed = zlib.compress(bytes((1 << 20) - 1))
    bomb = png_with(*(chunk(b"zTXt", b"%d\0\0" % n + packed) for n in range(80)))
    with bounded(100), pytest.raises(ImageError, match="expected an image"):
        load_scan(bomb)


def test_a_png_whose_chunk_is_longer_than_the_file() -> None:
    refuse_image(png_with(struct.pack(">I", 0x7FFFFFFF) + b"tEXtabc"), "expected an image")


def test_a_png_of_too_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_image(png_with(chunk(b"abCd", b"") * (1 << 16)), "a PNG of up to 65536 chunks")
    monkeypatch.setattr(image_structure, "MAX_CHUNKS", 5)
    assert load_scan(png_with(chunk(b"abCd", b"") * 2)).original_size == (8, 8)
    refuse_image(png_with(chunk(b"abCd", b"") * 3), "up to 5 chunks")


def test_a_large_ancillary_part_takes_no_more_than_a_few_times_its_size() -> None:
    large = png_with(chunk(b"abCd", bytes(16 << 20)))
    with bounded():
        assert load_scan(large).original_size == (8, 8)
    segment = b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)
    jpeg = encoded("JPEG")
    with bounded(100):
        assert load_scan(jpeg[:2] + segment * 256 + jpeg[2:]).original_size == (8, 8)


def progressive(scans: int) -> bytes:
    """A JPEG whose last scan is there more often than an encoder would write it."""
    content = encoded("JPEG", 64, progressive=True)
    last, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    written = content.count(b"\xff\xda")
    return content[:end] + content[last:end] * (scans - written) + content[end:]


def test_a_jpeg_of_too_many_scans() -> None:
    """Each scan goes over all of the image: 1 MB of them would take many minutes."""
    assert load_scan(progressive(image_structure.MAX_SCANS)).original_size == (64, 64)
    refuse_image(progressive(image_structure.MAX_SCANS + 1), "a JPEG of up to 100 scans")


def test_what_looks_like_a_scan_inside_a_segment_is_none() -> None:
    jpeg = encoded("JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 2002) + b"\xff\xda" * 1000
    assert load_scan(jpeg[:2] + comment + jpeg[2:]).original_size == (8, 8)
    assert load_scan(jpeg + b"\x00\x02" + b"\xff\xda\x00\x02" * 1000).original_size == (8, 8)


@pytest.mark.parametrize("kind", [3, 4])
def test_a_tiff_of_huge_tiles(kind: int) -> None:
    """Of 8x8 pixels, in a tile for which libtiff would take a gigabyte."""
    tile = [(324, 4, 1, -1), (325, 4, 1, 64)]
    bomb = tiff((322, kind, 1, 32_752), (323, kind, 1, 32_752), *tile)
    refuse_image(bomb, "expected tiles of up to 16777216 pixels")
    twice = tiff((322, kind, 2, -1), (323, kind, 1, 16), *tile)
    refuse_image(twice, "expected tiles")
    data = zlib.compress(bytes(256))
    sound = tiff((322, kind, 1, 16), (323, kind, 1, 16), tile[0], (325, 4, 1, len(data)), data=data)
    assert load_scan(sound).original_size == (8, 8)


def test_a_tiff_of_huge_fields() -> None:
    fields = ((258, 3, 1 << 20, -1), (273, 4, 1 << 20, -1), (279, 4, 1 << 20, -1))
    bomb = tiff(*fields, data=bytes(4 << 20))
    refuse_image(bomb, "expected TIFF fields of up to 262144 values, found 1048576")
    many = b"II*\0" + struct.pack("<IH", 8, 5000) + bytes(12 * 5000)
    refuse_image(many, "expected a TIFF of up to 4096 fields, found 5000")
