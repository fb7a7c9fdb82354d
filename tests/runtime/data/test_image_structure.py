"""JPEG files that take long: many scans."""

import struct

import pytest

from runtime.core.errors import ImageError
from runtime.data import image_structure
from runtime.data.images import load_scan
from tests.runtime.data.test_hostile_images import encoded, refuse_image


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


def test_a_marker_without_a_length_hides_no_scans() -> None:
    """A second start of image has no length; read as one, it would skip what follows."""
    scan = b"\xff\xda\x00\x02"
    for hidden in (b"\xff\xd8\xff\xff", b"\xff\xd8\x7f\xff", b"\xff\x01\xff\xff"):
        content = b"\xff\xd8" + hidden + scan * 101
        with pytest.raises(ImageError, match="JPEG with more than 100 scans"):
            image_structure.check_structure(content, "a.jpg")
