"""The golden pair survives the file, stays small, and nothing in it is trusted."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from runtime.core.errors import ConfigError, ModelError
from runtime.model.golden import (
    MAX_CHARACTERS,
    MAX_VALUES,
    Difference,
    dump_golden,
    golden_input,
    golden_scan,
    make_golden,
    parse_golden,
)
from tests.support.memory_bound import bounded

TOLERANCE = Difference(1e-5, 1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_a_pair_of_any_size_survives_and_fits(height: int, width: int) -> None:
    output = np.random.default_rng(height * width).random((height, width), np.float32)
    golden = make_golden(
        golden_scan((height, width), 0), output, tolerance=TOLERANCE, reference="r"
    )
    text = dump_golden(golden)
    assert len(text) <= MAX_CHARACTERS
    found = parse_golden(text, "m.onnx")
    assert found.scan == golden.scan
    assert (found.stride, found.tolerance, found.reference) == (golden.stride, TOLERANCE, "r")
    np.testing.assert_array_equal(found.probabilities, output[:: found.stride, :: found.stride])
    assert found.probabilities.size <= MAX_VALUES
    assert found.difference(output) == Difference(0.0, 0.0)
    assert golden_input(found, (height, width)).shape == (height, width, 3)


def test_a_difference_is_the_largest_and_another_shape_or_nan_never_passes() -> None:
    output = np.full((8, 8), 0.25, np.float32)
    golden = make_golden(b"", output, tolerance=Difference(0.6, 0.01), reference="")
    changed = output.copy()
    changed[3, 5] = 0.75
    assert golden.difference(changed) == Difference(0.5, 0.5 / 64)
    assert golden.difference(changed).within(golden.tolerance)
    assert not golden.difference(output + np.float32(0.02)).within(golden.tolerance)
    assert golden.difference(np.zeros((8, 9), np.float32)).largest == np.inf
    changed[0, 0] = np.nan
    assert not golden.difference(changed).within(golden.tolerance)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_that_passes_nothing_or_everything_is_refused(tolerance: float) -> None:
    for wrong in (Difference(tolerance, 1.0), Difference(1.0, tolerance)):
        with pytest.raises(ConfigError, match="tolerance above 0"):
            make_golden(b"", np.zeros((1, 1), np.float32), tolerance=wrong, reference="")


def test_heads_differ_by_their_number() -> None:
    assert golden_scan((64, 64), 1) == golden_scan((64, 64), 1)
    assert golden_scan((64, 64), 1) != golden_scan((64, 64), 2)


def sound() -> dict[str, object]:
    golden = make_golden(b"scan", np.zeros((4, 4), np.float32), tolerance=TOLERANCE, reference="")
    content: dict[str, object] = json.loads(dump_golden(golden))
    return content


@pytest.mark.parametrize(
    "change",
    [
        {"scan_png": "***"},
        {"probabilities_zlib": base64.b64encode(b"no zlib").decode()},
        # A bomb: a gigabyte of zeros in a megabyte would be unpacked if its claim were believed.
        {"probabilities_zlib": base64.b64encode(zlib.compress(bytes(1 << 17))).decode()},
        {"rows": 5},
        {"rows": -4, "columns": -4},
        {"rows": 10**9, "columns": 10**9},
        {"stride": 0},
        {"tolerance": {"largest": 0.0, "mean": 1.0}},
        {"tolerance": {"largest": 1.0, "mean": None}},
        {"tolerance": 1.0},
        {"tolerance": None},
        {"schema": "2.0"},
        {"reference": 3},
    ],
)
def test_a_damaged_pair_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx: "):
        parse_golden(json.dumps(sound() | change), "m.onnx")


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "x" * (MAX_CHARACTERS + 1)])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx: "):
        parse_golden(text, "m.onnx")


def test_a_bomb_is_not_unpacked() -> None:
    """A hundred megabytes of zeros fit into the characters that a pair may have."""
    packed = zlib.compress(bytes(100 << 20), 9)
    bomb = {"probabilities_zlib": base64.b64encode(packed).decode()}
    text = json.dumps(sound() | bomb)
    assert len(text) < MAX_CHARACTERS
    with bounded(50), pytest.raises(ModelError, match="contradictory fields"):
        parse_golden(text, "m.onnx")


@pytest.mark.parametrize(("size", "side"), [((16, 16), 32), ((64, 96), 96), ((512, 128), 256)])
def test_a_scan_is_as_large_as_the_input_within_32_to_256(size: tuple[int, int], side: int) -> None:
    with Image.open(io.BytesIO(golden_scan(size, 0))) as scan:
        assert (scan.format, scan.size) == ("PNG", (side, side))


@pytest.mark.parametrize(("side", "stride"), [(128, 1), (129, 2), (256, 2), (257, 3), (500, 4)])
def test_no_more_pixels_are_excluded_than_necessary(side: int, stride: int) -> None:
    output = np.zeros((side, side), np.float32)
    assert make_golden(b"", output, tolerance=TOLERANCE, reference="").stride == stride
