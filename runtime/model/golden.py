"""The golden pair: a scan in the file and the probabilities that the file has to give for it.

It lies in the file's `metadata_props` beside the metadata, so that whoever has the file alone can
replay it. The scan is synthetic (`runtime.data.phantom`): no patient's image travels with a
network.
"""

import base64
import io
import json
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError, ModelError
from runtime.core.json_files import parse_json
from runtime.core.schema import from_dict, to_dict
from runtime.data.images import Size, load_scan
from runtime.data.phantom_drawing import draw_scan

GOLDEN_KEY = "segmentation.golden"
MAX_CHARACTERS = 200_000
"""Of the whole pair, encoded."""
MAX_SCAN_SIDE = 256
MAX_VALUES = 128 * 128
"""Of the probabilities that are kept: 64 KiB."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of probabilities to the golden ones: the largest absolute one, and their mean."""

    largest: float
    mean: float


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden pair.

    Attributes:
        scan: the encoded image (PNG), resized to the network's input as any scan is.
        probabilities: float32 [rows, columns] in [0, 1], every `stride`-th pixel of every
            `stride`-th row of the output for the scan alone, from the first.
        tolerance: the largest differences that pass.
        reference: what gave the probabilities, in words.
    """

    scan: bytes
    probabilities: NDArray[np.float32]
    stride: int
    tolerance: Difference
    reference: str

    def difference(self, output: NDArray[np.float32]) -> Difference:
        """Return the differences to a network's output, float32 [H, W].

        NaN where the output holds one, infinite where it has another shape.
        """
        found = output[:: self.stride, :: self.stride]
        if found.shape != self.probabilities.shape:
            return Difference(float("inf"), float("inf"))
        differences = np.abs(found.astype(np.float64) - self.probabilities)
        return Difference(float(differences.max()), float(differences.mean()))

    def passes(self, difference: Difference) -> bool:
        """Whether a difference is within the tolerance; NaN never is."""
        allowed = self.tolerance
        return difference.largest <= allowed.largest and difference.mean <= allowed.mean


@dataclass(frozen=True, slots=True)
class _Document:
    scan_png: str
    rows: int
    columns: int
    stride: int
    probabilities_zlib: str
    tolerance: Difference
    reference: str
    schema: str = "1.0"


def golden_scan(size: Size, number: int) -> bytes:
    """Return a synthetic scan for a network's input of `size`, as PNG.

    Args:
        number: each gives another head.
    """
    side = min(MAX_SCAN_SIDE, max(32, *size))
    stream = io.BytesIO()
    Image.fromarray(draw_scan(side, number)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def make_golden(
    scan: bytes, output: NDArray[np.floating], *, tolerance: Difference, reference: str
) -> Golden:
    """Return the pair of a scan and the output for it, [H, W] in [0, 1], thinned where it is large.

    Raises:
        ConfigError: the tolerance is not finite, or the pair would be too large for a file.
    """
    if not _is_tolerance(tolerance):
        raise ConfigError(f"golden pair: expected a tolerance above 0, found {tolerance}")
    stride = 1
    while -(-output.shape[0] // stride) * -(-output.shape[1] // stride) > MAX_VALUES:
        stride += 1
    kept = np.ascontiguousarray(output[::stride, ::stride], np.float32)
    return Golden(scan, kept, stride, tolerance, reference)


def _is_tolerance(tolerance: Difference) -> bool:
    return all(0.0 < limit < float("inf") for limit in (tolerance.largest, tolerance.mean))


def dump_golden(golden: Golden) -> str:
    """Return the pair as JSON.

    Raises:
        ConfigError: it would have more than `MAX_CHARACTERS`.
    """
    rows, columns = golden.probabilities.shape
    values = np.ascontiguousarray(golden.probabilities, "<f4").tobytes()
    document = _Document(
        scan_png=base64.b64encode(golden.scan).decode(),
        rows=rows,
        columns=columns,
        stride=golden.stride,
        probabilities_zlib=base64.b64encode(zlib.compress(values, 9)).decode(),
        tolerance=golden.tolerance,
        reference=golden.reference,
    )
    text = json.dumps(to_dict(document), sort_keys=True)
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"golden pair: expected at most {MAX_CHARACTERS} characters, found {len(text)}"
        )
    return text


def parse_golden(text: str, where: str) -> Golden:
    """Read a pair.

    Raises:
        ModelError: it is damaged, too large, or of another version.
    """
    if len(text) > MAX_CHARACTERS:
        raise ModelError(
            f"{where}: expected a golden pair of at most {MAX_CHARACTERS} characters, found "
            f"{len(text)}"
        )
    name = f"{where}: golden pair"
    content = parse_json(text, where=name, error=ModelError)
    document = from_dict(_Document, content, where=name, error=ModelError)
    try:
        scan = base64.b64decode(document.scan_png, validate=True)
        packed = base64.b64decode(document.probabilities_zlib, validate=True)
        # One byte more than the most that is wanted tells a bomb, without unpacking it.
        values = zlib.decompressobj().decompress(packed, 4 * MAX_VALUES + 1)
    except (ValueError, zlib.error) as error:
        raise ModelError(f"{where}: expected a golden pair, found a damaged one") from error
    shape = (document.rows, document.columns)
    sound = (
        document.schema.split(".")[0] == "1"
        and min(*shape, document.stride) > 0
        and len(values) == 4 * document.rows * document.columns <= 4 * MAX_VALUES
        and _is_tolerance(document.tolerance)
    )
    if not sound:
        raise ModelError(f"{where}: expected a golden pair of version 1, found another one")
    probabilities = np.frombuffer(values, "<f4").reshape(shape).astype(np.float32)
    return Golden(scan, probabilities, document.stride, document.tolerance, document.reference)


def golden_input(golden: Golden, size: Size) -> NDArray[np.uint8]:
    """Return the scan as uint8 RGB [H, W, 3] at a network's input size. Raises ImageError."""
    return load_scan(golden.scan, size).pixels
