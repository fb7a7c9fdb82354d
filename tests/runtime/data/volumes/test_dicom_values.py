"""Values and gray levels of DICOM images, against pydicom's own."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from runtime.data.volumes.dicom_values import (
    LookupTable,
    Rescale,
    ValueRule,
    Window,
    WindowFunction,
)

pytest.importorskip("pydicom")

STORED = np.arange(-2048, 2048, 7, dtype=np.int16)


def header(**fields: Any) -> Any:
    from pydicom.dataset import Dataset

    made = Dataset()
    made.PhotometricInterpretation, made.BitsStored, made.PixelRepresentation = "MONOCHROME2", 12, 1
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    st.floats(-3000, 3000),
    st.floats(1.0, 5000),
)
def test_a_window_is_that_of_pydicom(function: WindowFunction, center: float, width: float) -> None:
    from pydicom.pixels.processing import apply_windowing

    made = header(WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    with np.errstate(over="ignore"):
        found = apply_windowing(STORED, made)
    shares = (found + 2048) / 4095
    assert Window(center, width, function)(STORED) == pytest.approx(shares, abs=1e-9)


def test_lookup_tables_are_those_of_pydicom() -> None:
    from pydicom.dataset import Dataset
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    outputs = np.random.default_rng(0).integers(0, 65536, 900)
    table = Dataset()
    table.add_new("LUTDescriptor", "SS", [900, -500, 16])
    table.add_new("LUTData", "US", outputs.tolist())
    own = LookupTable(-500, outputs.astype(float))
    assert (own(STORED) == apply_modality_lut(STORED, header(ModalityLUTSequence=[table]))).all()
    assert (own(STORED) == apply_voi_lut(STORED, header(VOILUTSequence=[table]))).all()


def test_a_window_of_width_one_is_a_threshold_and_a_narrower_one_unusable() -> None:
    values = np.array([39.4, 39.5, 39.6])
    assert Window(40.0, 1.0)(values).tolist() == [0.0, 0.0, 1.0]
    assert [Window(40.0, width).usable for width in (1.0, 0.5, 0.0, np.nan)] == [True] + 3 * [False]
    assert Window(40.0, 0.5, "SIGMOID").usable


def test_the_inversion_is_last_and_padding_stays_black() -> None:
    """The modality's slope turns the stored order, the window is of values, MONOCHROME1 ends it."""
    rule = ValueRule(Rescale(-1.0, 100.0), Window(50.5, 101.0), inverted=True, padding=(-9, -5))
    stored = np.array([0, 100, 40, -7], np.int16)
    assert rule.values(stored).tolist()[:3] == [100.0, 0.0, 60.0]
    assert np.isnan(rule.values(stored)[3])
    assert rule.levels(stored).tolist() == [0, 255, 102, 0]


@pytest.mark.parametrize("highest", [2, 4000])
def test_no_more_values_are_converted_than_there_are_pixels(highest: int) -> None:
    """Stored values may lie as far apart as 32 bits allow."""
    sizes: list[int] = []

    def modality(stored: Any) -> Any:
        sizes.append(stored.size)
        return stored * 2.0

    stored = np.array([0, 1, 0, highest])
    assert ValueRule(modality).values(stored).tolist() == (stored * 2.0).tolist()  # type: ignore[arg-type]
    assert sizes == [min(highest + 1, 4)]
