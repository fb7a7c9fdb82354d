"""PNG files that claim much, lack some of it, or take long."""

import struct
import zlib

import numpy as np
import pytest

from runtime.core.errors import ImageError
from runtime.data import png_structure
from runtime.data.images import load_scan
from tests.runtime.data.test_hostile_images import chunk, encoded, png, png_with, refuse_image
from tests.support.memory_bound import bounded


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


def test_a_png_of_too_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_image(png_with(chunk(b"abCd", b"") * (1 << 16)), "PNG with more than 65536 chunks")
    monkeypatch.setattr(png_structure, "MAX_CHUNKS", 5)
    assert load_scan(png_with(chunk(b"abCd", b"") * 2)).original_size == (8, 8)
    refuse_image(png_with(chunk(b"abCd", b"") * 3), "more than 5 chunks")


def test_an_interlaced_png_that_lacks_its_last_pass() -> None:
    """Of seven rows, the last is complete after the sixth pass, while every second one is not."""
    passes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (3, 8))
    rows = [(b"\0" + b"\xff" * columns) * number for number, columns in passes]
    whole = png(b"".join(rows), (7, 8), interlaced=1)
    assert (load_scan(whole).pixels == 255).all()
    refuse_image(png(b"".join(rows[:-1]), (7, 8), interlaced=1), "incomplete image")
