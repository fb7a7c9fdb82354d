"""From a DICOM header to the rule of its values, against pydicom's own functions."""

from typing import Any

import numpy as np
import pytest

from runtime.data.volumes.dicom_rules import value_rule
from runtime.data.volumes.dicom_values import LookupTable, Rescale, ValueRule, Window
from tests.runtime.data.volumes.test_dicom_values import STORED, header

pytest.importorskip("pydicom")


def rule_of(**fields: Any) -> ValueRule:
    made = header(**fields)
    return value_rule(made, made, made)


def table(first: int, bits: int = 16, vr: str = "SS", data: Any = None) -> Any:
    from pydicom.dataset import Dataset

    made = Dataset()
    outputs = list(range(900)) if data is None else data
    made.add_new("LUTDescriptor", vr, [900, first, bits])
    made.add_new("LUTData", "OW" if isinstance(outputs, bytes) else "US", outputs)
    return made


def test_slope_and_intercept_are_those_of_pydicom() -> None:
    from pydicom.pixels.processing import apply_rescale

    fields = {"RescaleSlope": 2.5, "RescaleIntercept": -1024}
    np.testing.assert_allclose(
        rule_of(**fields).values(STORED), apply_rescale(STORED, header(**fields)), rtol=1e-6
    )
    assert rule_of().modality == Rescale(1.0, 0.0)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_modality_s_table_is_that_of_pydicom_also_as_bytes(bits: int) -> None:
    from pydicom.pixels.processing import apply_modality_lut

    outputs = np.random.default_rng(0).integers(0, 1 << bits, 900)
    listed = header(ModalityLUTSequence=[table(-500, bits, data=outputs.tolist())])
    packed = table(-500, bits, data=outputs.astype(f"<u{bits // 8}").tobytes())
    expected = apply_modality_lut(STORED, listed)
    for made in (listed, header(ModalityLUTSequence=[packed])):
        np.testing.assert_array_equal(value_rule(made, made, made).values(STORED), expected)


@pytest.mark.parametrize(
    ("stored_signed", "intercept", "first"), [(1, 0, -500), (0, -1024, -500), (0, 0, 65036)]
)
def test_a_table_s_first_value_is_signed_where_values_can_be_negative(
    stored_signed: int, intercept: int, first: int
) -> None:
    found = rule_of(
        PixelRepresentation=stored_signed,
        RescaleIntercept=intercept,
        RescaleSlope=1,
        VOILUTSequence=[table(65036, vr="US")],
    ).interest
    assert isinstance(found, LookupTable)
    assert found.first == first


def test_a_table_of_interest_comes_before_a_window_and_ends_at_white() -> None:
    outputs = np.linspace(0, 4095, 900).round().astype(int).tolist()
    window = {"WindowCenter": [40, 50], "WindowWidth": [400, 350]}
    both = rule_of(VOILUTSequence=[table(0, 12, data=outputs)], **window).interest
    assert isinstance(both, LookupTable)
    assert (both.outputs[0], both.outputs[-1]) == (0.0, 1.0)
    assert rule_of(**window).interest == Window(40.0, 400.0, "LINEAR")
    assert rule_of(WindowCenter=40, WindowWidth=0).interest is None
    assert rule_of(WindowCenter=40).interest is None


@pytest.mark.parametrize(
    ("limit", "padding"), [(None, (-2000, -2000)), (-1000, (-2000, -1000)), (-2047, (-2047, -2000))]
)
def test_padding_reaches_to_its_limit_in_either_order(
    limit: int | None, padding: tuple[int, int]
) -> None:
    fields = {"PixelPaddingValue": -2000} | (
        {} if limit is None else {"PixelPaddingRangeLimit": limit}
    )
    rule = rule_of(**fields)
    assert rule.padding == padding
    stored = np.array([-2047, -2001, -2000, -1500, -1000, -999])
    known = (stored < padding[0]) | (stored > padding[1])
    np.testing.assert_array_equal(np.isfinite(rule.values(stored)), known)


def test_low_values_are_white_in_monochrome_1() -> None:
    made = header()
    made.PhotometricInterpretation = "MONOCHROME1"
    assert value_rule(made, made, made).inverted
    assert not rule_of().inverted
