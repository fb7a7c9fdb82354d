"""Images that ask for more than they hold."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data import image_structure, images, png_structure
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


def tiff(*fields: tuple[int, int, int, int], data: bytes = bytes(64)) -> bytes:
    """A gray TIFF of 8x8 with more fields: tag, type, count, value (-1: where the data lie)."""
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
    refuse_image(claims(form, 60_000), "image too large, more than 67108864 pixels")


def test_a_tiff_that_claims_60000x60000() -> None:
    sides = ((256, 4, 1, 60_000), (257, 4, 1, 60_000), (278, 4, 1, 60_000))
    content = tiff(*sides, (273, 4, 1, -1), (279, 4, 1, 64))
    refuse_image(content, "image too large, more than 67108864 pixels")


@pytest.mark.parametrize(
    ("kind", "head"),
    [(b"iCCP", b"p\0\0"), (b"zTXt", b"p\0\0"), (b"iTXt", b"p\0\1\0\0\0")],
    ids=["iCCP", "zTXt", "iTXt"],
)
def test_a_png_chunk_that_grows_a_thousandfold(kind: bytes, head: bytes) -> None:
    bomb = png_with(chunk(kind, head + zlib.compress(bytes(100 << 20))))
    refuse_image(bomb, "damaged image, or beyond a limit .*MAX_TEXT_CHUNK")


def test_a_png_with_text_in_many_chunks() -> None:
    packed = zlib.compress(bytes((1 << 20) - 1))
    bomb = png_with(*(chunk(b"zTXt", b"%d\0\0" % n + packed) for n in range(80)))
    with bounded(100), pytest.raises(ImageError, match=r"beyond a limit .*MAX_TEXT_MEMORY"):
        load_scan(bomb)


def test_a_png_whose_chunk_is_longer_than_the_file() -> None:
    refuse_image(png_with(struct.pack(">I", 0x7FFFFFFF) + b"tEXtabc"), "damaged image")


@pytest.mark.parametrize("size", [(0, 0), (0, 8), (8, 0)])
def test_a_png_without_pixels(size: tuple[int, int]) -> None:
    refuse_image(png(b"", size), rf"image without pixels \({size[1]}x{size[0]}\)")


def test_a_png_whose_header_is_damaged_is_called_one() -> None:
    content = encoded("PNG")
    refuse_image(content[:30] + b"\0" + content[31:], "damaged PNG")
    header = content[8:33]
    for other in (content[:8] + content[33:], content[:33] + header + content[33:], content[:20]):
        refuse_image(other, "damaged PNG, without exactly one header")
    assert load_scan(content + header).original_size == (8, 8)


ROWS = [(1, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (2, 3, 1), (8, 3, 1), (8, 4, 2), (16, 4, 2),
        (8, 2, 3), (16, 2, 3), (8, 6, 4), (16, 6, 4)]  # fmt: skip


@pytest.mark.filterwarnings("ignore::runtime.core.errors.DataWarning")  # the pixels are dark
@pytest.mark.parametrize(("bits", "color", "channels"), ROWS)
def test_a_png_whose_data_end_properly_before_its_last_row(
    bits: int, color: int, channels: int
) -> None:
    """Pillow takes it where they end with a row, and leaves the rest black."""
    height, width = 11, 13
    row = b"\0" + b"\1" * -(-width * bits * channels // 8)
    whole = png(row * height, (height, width), bits, color)
    assert load_scan(whole).original_size == (height, width)
    for rows in (height - 1, height // 2, 1):
        short = png(row * rows, (height, width), bits, color)
        words = f"{rows * len(row)} of {height * len(row)} bytes of pixel data"
        refuse_image(short, f"incomplete image, with {words}")
    refuse_image(
        png((row * height)[:-1], (height, width), bits, color), "incomplete image|damaged image"
    )


ADAM7 = """16462646
77777777
56565656
77777777
36463646
77777777
56565656
77777777"""
"""Of each pixel of 8x8 its pass, as the specification draws it."""


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (5, 4), (8, 8), (13, 11), (3, 64)])
def test_an_interlaced_png_whose_last_row_is_missing(size: tuple[int, int]) -> None:
    height, width = size
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    drawn = np.array([[int(digit) for digit in line] for line in ADAM7.splitlines()])
    passes = np.tile(drawn, (-(-height // 8), -(-width // 8)))[:height, :width]
    rows = []
    for number in range(1, 8):
        for row, mask in zip(pixels, passes == number, strict=True):
            if mask.any():
                rows.append(b"\0" + row[mask].tobytes())
    whole = load_scan(png(b"".join(rows), size, interlaced=1))
    np.testing.assert_array_equal(whole.pixels[:, :, 0], pixels)
    short = png(b"".join(rows[:-1]), size, interlaced=1)
    refuse_image(short, "incomplete image|damaged image")


def test_rows_are_counted_in_bounded_memory() -> None:
    """Of 8192x8192 pixels, in 65 kB; and no longer than the image needs, in one that has more."""
    short = png(bytes(8193 * 8191), (8192, 8192))
    with bounded(), pytest.raises(ImageError, match="incomplete image"):
        load_scan(short)
    long = png(bytes(40 << 20), (8, 8))
    with bounded(32):
        png_structure.check_rows(long, "a.png")


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


def test_a_png_of_too_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_image(png_with(chunk(b"abCd", b"") * (1 << 16)), "PNG with more than 65536 chunks")
    monkeypatch.setattr(png_structure, "MAX_CHUNKS", 5)
    assert load_scan(png_with(chunk(b"abCd", b"") * 2)).original_size == (8, 8)
    refuse_image(png_with(chunk(b"abCd", b"") * 3), "more than 5 chunks")


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
    refuse_image(progressive(image_structure.MAX_SCANS + 1), "JPEG with more than 100 scans")


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
    refuse_image(bomb, "TIFF with tiles of more than 16777216 pixels")
    twice = tiff((322, kind, 2, -1), (323, kind, 1, 16), *tile)
    refuse_image(twice, "TIFF with tiles")
    data = zlib.compress(bytes(256))
    sound = tiff((322, kind, 1, 16), (323, kind, 1, 16), tile[0], (325, 4, 1, len(data)), data=data)
    assert load_scan(sound).original_size == (8, 8)


def test_a_tiff_of_huge_fields() -> None:
    fields = ((258, 3, 1 << 20, -1), (273, 4, 1 << 20, -1), (279, 4, 1 << 20, -1))
    bomb = tiff(*fields, data=bytes(4 << 20))
    refuse_image(bomb, "expected TIFF fields of up to 262144 values, found 1048576")
    many = b"II*\0" + struct.pack("<IH", 8, 5000) + bytes(12 * 5000)
    refuse_image(many, "expected a TIFF of up to 4096 fields, found 5000")


def big_tiff(*fields: tuple[int, int, int, int], order: str = "<") -> bytes:
    """The start of a BigTIFF with these fields: tag, type, count, value."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HHHQ", 43, 8, 0, 16)
    entries = b"".join(struct.pack(order + "HHQQ", *field) for field in fields)
    return head + struct.pack(order + "Q", len(fields)) + entries


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_fields_of_a_big_tiff_are_checked_too(order: str) -> None:
    sound = (256, 4, 1, 8), (257, 4, 1, 8), (322, 16, 1, 256), (323, 16, 1, 256)
    image_structure.check_structure(big_tiff(*sound, order=order), "a.tif")
    for further, words in (
        ([(322, 16, 1, 4097), (323, 16, 1, 4096)], "TIFF with tiles of more than 16777216 pixels"),
        ([(258, 3, 262145, 0)], "expected TIFF fields of up to 262144 values, found 262145"),
    ):
        with pytest.raises(ImageError, match=words):
            image_structure.check_structure(big_tiff(*sound[:2], *further, order=order), "a.tif")


@pytest.mark.parametrize("kind", [1, 2, 7])
def test_a_field_of_bytes_may_be_long(kind: int) -> None:
    """As a color profile or a text is: it is one object, however many values it has."""
    image_structure.check_structure(tiff((34675, kind, 300_000, -1)), "a.tif")
    with pytest.raises(ImageError, match="TIFF fields of up to 262144 values, found 300000"):
        image_structure.check_structure(tiff((34675, 3, 300_000, -1)), "a.tif")


def test_a_marker_without_a_length_hides_no_scans() -> None:
    """A second start of image has no length; read as one, it would skip what follows."""
    scan = b"\xff\xda\x00\x02"
    for hidden in (b"\xff\xd8\xff\xff", b"\xff\xd8\x7f\xff", b"\xff\x01\xff\xff"):
        content = b"\xff\xd8" + hidden + scan * 101
        with pytest.raises(ImageError, match="JPEG with more than 100 scans"):
            image_structure.check_structure(content, "a.jpg")


def test_an_interlaced_png_that_lacks_its_last_pass() -> None:
    """Of seven rows, the last is complete after the sixth pass, while every second one is not."""
    passes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (3, 8))
    rows = [(b"\0" + b"\xff" * columns) * number for number, columns in passes]
    whole = png(b"".join(rows), (7, 8), interlaced=1)
    assert (load_scan(whole).pixels == 255).all()
    refuse_image(png(b"".join(rows[:-1]), (7, 8), interlaced=1), "incomplete image")
