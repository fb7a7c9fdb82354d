"""The golden pair: a scan stored in a file, and the probabilities that the file must give for it.

The pair is in the file's `metadata_props`, so that anyone who has the file can replay it. The scan
is synthetic (`runtime.data.phantom`): no image of a patient is stored with a network.
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
from runtime.data.images import load_scan
from runtime.data.orientation import Size
from runtime.data.phantom_drawing import draw_scan

GOLDEN_KEY = "segmentation.golden"
MAX_CHARACTERS = 200_000
"""Limit on the encoded pair."""
MAX_SCAN_SIDE = 256
MAX_VALUES = 128 * 128
"""Limit on the stored probabilities, which take 64 KiB."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Absolute difference of probabilities to the golden ones: the largest, and the mean."""

    largest: float
    mean: float

    def within(self, allowed: "Difference") -> bool:
        """Return whether both are at most the allowed ones; NaN never is."""
        return self.largest <= allowed.largest and self.mean <= allowed.mean


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden pair.

    Attributes:
        scan: the encoded image (PNG). It is resized to the network's input like any scan.
        probabilities: float32 [rows, columns] in [0, 1]: every `stride`-th pixel of every
            `stride`-th row of the output, from the first, for a batch with only this scan.
        tolerance: the largest differences that pass.
        reference: the source of the probabilities, in words.
    """

    scan: bytes
    probabilities: NDArray[np.float32]
    stride: int
    tolerance: Difference
    reference: str

    def difference(self, output: NDArray[np.float32]) -> Difference:
        """Return the difference to a network's output, float32 [H, W].

        It is NaN if the output contains NaN, and infinite if the output has another shape.

        Example:
            >>> output = np.full((4, 4), 0.5, np.float32)
            >>> pair = make_golden(b"", output, tolerance=Difference(0.1, 0.1), reference="")
            >>> pair.difference(output + np.float32(0.25))
            Difference(largest=0.25, mean=0.25)
        """
        found = output[:: self.stride, :: self.stride]
        if found.shape != self.probabilities.shape:
            return Difference(float("inf"), float("inf"))
        differences = np.abs(found.astype(np.float64) - self.probabilities)
        return Difference(float(differences.max()), float(differences.mean()))


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
        number: each number gives another head.
    """
    side = min(MAX_SCAN_SIDE, max(32, *size))
    stream = io.BytesIO()
    Image.fromarray(draw_scan(side, number)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def make_golden(
    scan: bytes, output: NDArray[np.floating], *, tolerance: Difference, reference: str
) -> Golden:
    """Return the golden pair of a scan and its output; a large output is subsampled.

    Args:
        scan: the encoded image (PNG).
        output: probabilities [H, W] in [0, 1].
        tolerance: the largest differences that pass.
        reference: the source of the probabilities, in words.

    Raises:
        ConfigError: the tolerance is not finite and above 0.
    """
    if not _is_tolerance(tolerance):
        raise ConfigError(f"golden pair: expected a tolerance above 0, found {tolerance}")
    stride = 1
    while -(-output.shape[0] // stride) * -(-output.shape[1] // stride) > MAX_VALUES:
        stride += 1
    sampled = np.ascontiguousarray(output[::stride, ::stride], np.float32)
    return Golden(scan, sampled, stride, tolerance, reference)


def _is_tolerance(tolerance: Difference) -> bool:
    return all(0.0 < limit < float("inf") for limit in (tolerance.largest, tolerance.mean))


def dump_golden(golden: Golden) -> str:
    """Return the pair as JSON.

    Raises:
        ConfigError: the text would have more than `MAX_CHARACTERS`.
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
            f"golden pair: too large for a file; expected at most {MAX_CHARACTERS} characters, "
            f"found {len(text)}"
        )
    return text


def parse_golden(text: str, where: str) -> Golden:
    """Parse a golden pair.

    Args:
        text: JSON, as `dump_golden` returns it.
        where: name of the file, for error messages.

    Raises:
        ModelError: the pair is damaged, too large, or of another version.
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
        # One byte over the limit is enough to recognize a decompression bomb.
        values = zlib.decompressobj().decompress(packed, 4 * MAX_VALUES + 1)
    except (ValueError, zlib.error) as error:
        raise ModelError(f"{where}: damaged golden pair") from error
    shape = (document.rows, document.columns)
    sound = (
        document.schema.split(".")[0] == "1"
        and min(*shape, document.stride) > 0
        and len(values) == 4 * document.rows * document.columns <= 4 * MAX_VALUES
        and _is_tolerance(document.tolerance)
    )
    if not sound:
        raise ModelError(f"{where}: golden pair with contradictory fields or of another version")
    probabilities = np.frombuffer(values, "<f4").reshape(shape).astype(np.float32)
    return Golden(scan, probabilities, document.stride, document.tolerance, document.reference)


def golden_input(golden: Golden, size: Size) -> NDArray[np.uint8]:
    """Return the scan, RGB, uint8 [H, W, 3], at a network's input size. Raises ImageError."""
    return load_scan(golden.scan, size).pixels
