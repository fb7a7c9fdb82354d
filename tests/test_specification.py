"""A reader that follows docs/exported-file.md alone, and shares no code with the toolkit."""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from runtime.model.verification import verify

FILE = Path(__file__).resolve().parents[1] / "artifacts" / "unet-scratch-w16.onnx"
GRAPH, METADATA_PROPS, INITIALIZER, TENSOR_NAME = 7, 14, 5, 8  # of onnx.proto


def varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number, content and encoding of each field of a protobuf message."""
    position = 0
    while position < len(data):
        start = position
        tag, position = varint(data, position)
        length = {1: 8, 5: 4}.get(tag & 7)
        if tag & 7 == 0:
            content, position = b"", varint(data, position)[1]
        else:
            if length is None:
                length, position = varint(data, position)
            content, position = data[position : position + length], position + length
        yield tag >> 3, content, data[start:position]


def sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    entries = (dict(part[:2] for part in fields(c)) for n, c, _ in model() if n == METADATA_PROPS)
    return {entry[1].decode(): entry[2].decode() for entry in entries}


def model() -> list[tuple[int, bytes, bytes]]:
    return list(fields(FILE.read_bytes()))


def test_the_checksums_and_digests(texts: dict[str, str]) -> None:
    (graph,) = (list(fields(content)) for number, content, _ in model() if number == GRAPH)
    rest: list[bytes] = []
    for number, content, encoded in model():
        if number == GRAPH:
            rest += [e for n, _, e in fields(content) if n != INITIALIZER]
        elif number != METADATA_PROPS:
            rest.append(encoded)
    tensors = [content for number, content, _ in graph if number == INITIALIZER]
    checksums = {
        "schema": "1.0",
        "metadata": sha256(texts["segmentation"].encode()),
        "golden": sha256(texts["segmentation.golden"].encode()),
        "structure": sha256(*rest),
        "weights": {
            next(c.decode() for n, c, _ in fields(tensor) if n == TENSOR_NAME): sha256(tensor)
            for tensor in tensors
        },
    }
    assert json.loads(texts["segmentation.checksums"]) == checksums
    digest = sha256(*(encoded for number, _, encoded in model() if number != METADATA_PROPS))
    assert json.loads(texts["segmentation"])["parity"]["digest"] == digest
    contents = sha256(json.dumps(checksums, sort_keys=True, separators=(",", ":")).encode())
    assert contents == verify(FILE).contents_digest


def test_the_golden_pair(texts: dict[str, str]) -> None:
    golden, spec = (
        json.loads(texts["segmentation.golden"]),
        json.loads(texts["segmentation"])["input"],
    )
    scan = Image.open(io.BytesIO(base64.b64decode(golden["scan_png"]))).convert("RGB")
    scan = scan.resize((spec["width"], spec["height"]), Image.Resampling.BILINEAR)
    image = np.asarray(scan, np.float32).transpose(2, 0, 1)[None] * (
        np.float32(1) / np.float32(255)
    )
    session = onnxruntime.InferenceSession(str(FILE), providers=["CPUExecutionProvider"])
    (output,) = session.run(["probability"], {"image": image})
    values = zlib.decompress(base64.b64decode(golden["probabilities_zlib"]))
    expected = np.frombuffer(values, "<f4").reshape(golden["rows"], golden["columns"])
    stride = golden["stride"]
    difference = np.abs(output[0, 0, ::stride, ::stride].astype(np.float64) - expected)
    assert difference.max() <= golden["tolerance"]["largest"]
    assert difference.mean() <= golden["tolerance"]["mean"]
