"""The size that compressed data state, from the bytes of each kind."""

import io
import struct

import pytest
from PIL import Image, features

from runtime.data.volumes.dicom_pixels import encoded_size


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 24)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 300}])
def test_a_jpeg_s_rows_and_columns_are_those_of_its_frame(options: dict[str, object]) -> None:
    content = encoded("JPEG", **options)
    assert encoded_size(content) == (24, 40)
    assert encoded_size(content[:2] + b"\xff\xff" + content[2:]) == (24, 40)  # filled


def test_a_jpeg_2000_may_begin_beside_the_origin() -> None:
    if features.check_codec("jpg_2000"):
        assert encoded_size(encoded("JPEG2000", no_jp2=True)) == (24, 40)
    header = b"\xff\x4f\xff\x51" + struct.pack(">HH4I", 41, 0, 48, 30, 8, 6)
    assert encoded_size(header) == (24, 40)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"RLE", b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9"])
def test_data_without_a_frame_state_no_size(data: bytes) -> None:
    assert encoded_size(data) is None
