"""TIFF files that claim more than they hold."""

import struct
import zlib

import pytest

from runtime.core.errors import ImageError
from runtime.data import image_structure
from runtime.data.images import load_scan
from tests.runtime.data.test_hostile_images import refuse_image


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


def test_a_tiff_that_claims_60000x60000() -> None:
    sides = ((256, 4, 1, 60_000), (257, 4, 1, 60_000), (278, 4, 1, 60_000))
    content = tiff(*sides, (273, 4, 1, -1), (279, 4, 1, 64))
    refuse_image(content, "image too large, more than 67108864 pixels")


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
