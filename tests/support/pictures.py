"""Small pictures, and files of them, as Pillow and as a few lines write them."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def smooth(height: int, width: int) -> Image.Image:
    """A picture with structure, as JPEG likes it."""
    return Image.fromarray(noise(8, 8, 3)).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", b""), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(levels: NDArray[np.uint16], **tags: int) -> bytes:
    """A TIFF of one strip with further fields, by hand: Pillow writes none of these."""
    names = {"photometric": 262, "s_max_sample_value": 341, "subfile_type": 254}
    height, width = levels.shape
    fields = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    fields |= {279: levels.nbytes} | {names[name]: value for name, value in tags.items()}
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag in (258, 259, 262, 277, 341) else 4, 1, value)
        for tag, value in sorted(fields.items())
    )
    directory = struct.pack("<H", len(fields)) + entries + bytes(4)
    return (
        struct.pack("<2sHI", b"II", 42, 8 + levels.nbytes)
        + levels.astype("<u2").tobytes()
        + directory
    )


def darken(folder: Path) -> Path:
    """Turn the gray PNG files of a data set's splits into 12-bit levels in 16 bits.

    Scaled to a white level of 4095, they have the levels that they had.
    """
    for path in folder.glob("*/*.png"):
        levels = np.asarray(Image.open(path).convert("L")).astype(np.uint32)
        Image.fromarray(((levels * 4095 + 127) // 255).astype(np.uint16)).save(path)
    return folder
