"""How stored pixels become values, as a DICOM header states it."""

from typing import Any, get_args

import numpy as np

from runtime.data.volumes.dicom_values import (
    LookupTable,
    Rescale,
    ValueRule,
    Window,
    WindowFunction,
)

_MAX_TABLE = 1 << 16
_FUNCTIONS: tuple[WindowFunction, ...] = get_args(WindowFunction)


def value_rule(header: Any, transformation: Any, interest: Any) -> ValueRule:
    """Return how the stored pixels of an image become values.

    Args:
        header: of the file, a `pydicom.Dataset`.
        transformation, interest: the image's groups of the rescale and of the window; of a file
            without groups, its header.
    """
    tables = header.get("ModalityLUTSequence")
    slope = numbers(transformation, "RescaleSlope", 1)
    intercept = numbers(transformation, "RescaleIntercept", 1)
    rescale = Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    signed = bool(header.get("PixelRepresentation"))
    padding = numbers(header, "PixelPaddingValue", 1)
    limit = numbers(header, "PixelPaddingRangeLimit", 1) or padding
    return ValueRule(
        _table(tables[0], signed)[0] if tables else rescale,
        _interest(interest, signed or rescale.intercept < 0.0),
        inverted=str(header.get("PhotometricInterpretation")) == "MONOCHROME1",
        padding=(
            (int(min(padding + limit)), int(max(padding + limit))) if padding and limit else None
        ),
    )


def _interest(attributes: Any, signed: bool) -> LookupTable | Window | None:
    """Return the first lookup table of values of interest, or else the first window."""
    if tables := attributes.get("VOILUTSequence"):
        table, highest = _table(tables[0], signed)
        return LookupTable(table.first, table.outputs / highest)
    center, width = (numbers(attributes, name, 1) for name in ("WindowCenter", "WindowWidth"))
    if not center or not width:
        return None
    stated = attributes.get("VOILUTFunction")
    function: WindowFunction = next((each for each in _FUNCTIONS if each == stated), "LINEAR")
    window = Window(center[0], width[0], function)
    return window if window.usable else None


def _table(item: Any, signed: bool) -> tuple[LookupTable, int]:
    """Return a lookup table (PS3.3 C.11.1.1), and the highest output that its bits allow."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    entries = entries or _MAX_TABLE
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if item.is_little_endian is not False else ">"
        data = np.frombuffer(data, f"{order}u2" if len(data) >= 2 * entries else "u1")
    outputs = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not 8 <= bits <= 16 or len(outputs) < entries:
        raise ValueError("a lookup table of fewer entries than it states")
    if signed and first >= 1 << 15:
        first -= 1 << 16
    return LookupTable(first, outputs), (1 << bits) - 1


def numbers(attributes: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return the first values of an attribute; None where it has not so many finite numbers."""
    value = attributes.get(name)
    if value is None:
        return None
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    found = tuple(float(each) for each in values[:count])
    return found if len(found) == count and np.isfinite(found).all() else None
