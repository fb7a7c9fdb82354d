"""Frozen dataclasses to JSON and back, with every value checked against its field's type."""

import dataclasses
import math
import reprlib
import types
from collections.abc import Callable, Mapping, Sequence
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
    return {name: _plain(getattr(record, name)) for name in _names(type(record))}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):  # most are
        return value
    if dataclasses.is_dataclass(value):
        return to_dict(value)
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
    try:
        record: Record = _reader(kind)(content)  # type: ignore[arg-type]
    except _MismatchError as fault:
        raise error(f"{where}{fault.path}: {fault}") from fault.__cause__
    return record


class _MismatchError(Exception):
    """A value that its type does not allow.

    Attributes:
        path: of the field that has it, such as `.input.width`.
    """

    path = ""


Reader = Callable[[Any], Any]
"""Returns a value of JSON as a type wants it. Raises _MismatchError."""


@cache
def _reader(hint: Any) -> Reader:
    """Return the reader of a type. It is built once: a file may hold millions of values."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: value
    if origin in (Union, types.UnionType):
        (some,) = (argument for argument in arguments if argument is not type(None))
        return _optional(_reader(some))
    if origin is Literal:
        return _one_of(arguments)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint)
    if origin in (tuple, Sequence):
        return _items(origin, _reader(arguments[0]))
    if origin is dict:
        return _values(_reader(arguments[1]))
    if hint is Path:
        return _path
    return _float if hint is float else _instance(hint)


def _record(kind: type) -> Reader:
    hints = get_type_hints(kind)
    readers = [
        (
            field.name,
            _reader(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    ]

    def read(content: Any) -> Any:
        if not isinstance(content, dict):
            raise _MismatchError(f"expected an object, found {_name(content)}")
        values: dict[str, Any] = {}
        for name, read_value, required in readers:
            if name in content:
                try:
                    values[name] = read_value(content[name])
                except _MismatchError as fault:
                    fault.path = f".{name}{fault.path}"
                    raise
            elif required:
                raise _MismatchError(f"missing field {name!r}")
        try:
            return kind(**values)
        except ConfigError as fault:
            raise _MismatchError(str(fault)) from fault

    return read


def _optional(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _one_of(choices: Sequence[Any]) -> Reader:
    def read(value: Any) -> Any:
        if value not in choices:
            expected = ", ".join(choices)
            raise _MismatchError(f"expected one of {expected}, found {_name(value)}")
        return value

    return read


def _items(origin: type, read: Reader) -> Reader:
    return lambda value: tuple(map(read, _instance(list, origin)(value)))


def _values(read: Reader) -> Reader:
    def read_all(value: Any) -> Any:
        return {str(key): read(item) for key, item in _instance(dict)(value).items()}

    return read_all


def _path(value: Any) -> Path:
    return Path(_instance(str, Path)(value))


def _float(value: Any) -> float:
    if isinstance(value, float):
        return value
    if value is None:
        return math.nan
    try:
        return float(_instance(int, float)(value))
    except OverflowError as fault:
        raise _MismatchError("expected float, found an integer beyond its range") from fault


@cache
def _instance(kind: type, expected: type | None = None) -> Reader:
    """Return a reader that takes values of `kind` only, and says that it expected another type."""
    name = (expected or kind).__name__

    def read(value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _MismatchError(f"expected {name}, found {_name(value)}")
        return value

    return read


def _name(value: object) -> str:
    if value is None:
        return "null"
    # A pickled list may contain itself: written out in full, it would never end.
    text = value if isinstance(value, str) else reprlib.repr(value)
    return f"{type(value).__name__} {text[:40]!r}"
