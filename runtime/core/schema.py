"""Frozen dataclasses to JSON and back, with every value checked against its field's type."""

import dataclasses
import math
import reprlib
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from runtime.core.errors import ConfigError, SegmentationError

Record = TypeVar("Record")


def to_dict(record: object) -> dict[str, Any]:
    """Return a dataclass as a dictionary that JSON can hold; sequences become lists.

    Raises:
        TypeError: `record` is not an instance of a dataclass.

    Example:
        >>> from runtime.metrics import PixelSums
        >>> to_dict(PixelSums(pixels=4, target=2.0, predicted=1.5, overlap=1.0))
        {'pixels': 4, 'target': 2.0, 'predicted': 1.5, 'overlap': 1.0}
    """
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise TypeError(f"expected a dataclass instance, found {type(record).__name__}")
    return {f.name: _plain(getattr(record, f.name)) for f in dataclasses.fields(record)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def from_dict(
    kind: type[Record], content: object, *, where: str, error: type[SegmentationError]
) -> Record:
    """Return the dataclass `kind` with the values of a JSON object.

    Unknown keys are ignored, so that a later minor version may add some. A field without a default
    is required. A value must have its field's type; for a float an integer is accepted, and null
    means NaN (`runtime.core.json_files.write_json` writes it so).

    Args:
        where: name of the source, for messages ("model.onnx: metadata").

    Raises:
        error: a field is missing, has another type, or is out of the range that `kind` allows.

    Example:
        >>> from runtime.core.errors import DataError
        >>> from runtime.metrics import PixelSums
        >>> content = {"pixels": 4, "target": 2, "predicted": 1.5, "overlap": 1.0}
        >>> from_dict(PixelSums, content, where="sums.json", error=DataError)
        PixelSums(pixels=4, target=2.0, predicted=1.5, overlap=1.0)
        >>> from_dict(PixelSums, {"pixels": "4"}, where="sums.json", error=DataError)
        Traceback (most recent call last):
        runtime.core.errors.DataError: sums.json.pixels: expected int, found str '4'
    """
    if not isinstance(content, dict):
        raise error(f"{where}: expected an object, found {_name(content)}")
    hints = _hints(kind)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in content:
            values[field.name] = _convert(
                hints[field.name], content[field.name], f"{where}.{field.name}", error
            )
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: missing field {field.name!r}")
    try:
        return kind(**values)
    except ConfigError as fault:
        raise error(f"{where}: {fault}") from fault


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _convert(hint: Any, value: Any, where: str, error: type[SegmentationError]) -> Any:
    if hint is Any:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _convert(hint, value, where, error)
    if origin is Literal:
        if value not in arguments:
            raise error(f"{where}: expected one of {', '.join(arguments)}, found {_name(value)}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value, where=where, error=error)
    if origin in (tuple, Sequence) and isinstance(value, list):
        return tuple(_convert(arguments[0], item, where, error) for item in value)
    if origin is dict and isinstance(value, dict):
        return {str(k): _convert(arguments[1], item, where, error) for k, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and value is None:
        return math.nan
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as fault:
            raise error(f"{where}: expected float, found an integer beyond its range") from fault
    expected = origin or hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise error(f"{where}: expected {expected.__name__}, found {_name(value)}")
    return value


def _name(value: object) -> str:
    if value is None:
        return "null"
    # A pickled list may contain itself: written out in full, it would never end.
    text = value if isinstance(value, str) else reprlib.repr(value)
    return f"{type(value).__name__} {text[:40]!r}"
