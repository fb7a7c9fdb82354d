"""Bounded, strict reading of JSON, and writing of JSON that every reader accepts."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from runtime.core.errors import SegmentationError
from runtime.core.files import read_bytes, replacing

MAX_JSON_BYTES = 1 << 28
MAX_JSON_DEPTH = 64
"""Largest nesting of lists and objects; a COCO file needs 5, a study's result 10."""


def write_json(path: str | os.PathLike[str], content: object) -> None:
    """Write `content` as JSON, with NaN and infinities as null. Raises OutputError.

    Items of sequences that compute them, unlike lists and tuples, are asked for one by one.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_chunks(content))


def json_text(content: object) -> str:
    """Return `content` as JSON text, with NaN and infinities as null.

    Example:
        >>> print(json_text({"iou": 0.5, "dice": math.nan}), end="")
        {
         "iou": 0.5,
         "dice": null
        }
    """
    return "".join(_chunks(content))


def _chunks(content: object) -> Iterator[str]:
    yield from json.JSONEncoder(indent=1, allow_nan=False).iterencode(without_nan(content))
    yield "\n"


def without_nan(content: object) -> Any:
    """Return `content` with NaN and infinities replaced by None, and tuples by lists.

    Dataclasses become dictionaries.

    Example:
        >>> without_nan({"iou": (0.5, math.nan, math.inf)})
        {'iou': [0.5, None, None]}
    """
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, str | int):
        return content
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, _Items):  # of an earlier call
        return content
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    if isinstance(content, Sequence):
        return _Items(content)
    if is_dataclass(content):
        return {field.name: without_nan(getattr(content, field.name)) for field in fields(content)}
    return content


class _Items(list[Any]):
    """The items of a sequence, as the list that JSON wants, but never all in memory."""

    def __init__(self, items: Sequence[object]) -> None:
        super().__init__()
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return map(without_nan, self._items)


class _RepeatedKeyError(Exception):
    pass


def read_json(path: str | os.PathLike[str], *, error: type[SegmentationError]) -> Any:
    """Return the content of a JSON file.

    Raises:
        error: the file cannot be read, is larger than 256 MiB, or `parse_json` refuses it.
    """
    content = read_bytes(path, limit=MAX_JSON_BYTES, error=error)
    return parse_json(content, where=os.fspath(path), error=error)


def parse_json(content: bytes | str, *, where: str, error: type[SegmentationError]) -> Any:
    """Return the content of JSON text.

    Args:
        where: name of the text's source, for messages.

    Raises:
        error: the text is not JSON, is nested deeper than 64 levels, or repeats a key in one
            object (readers differ in which of the two values they take).

    Example:
        >>> from runtime.core.errors import DataError
        >>> parse_json('{"size": [256, 256]}', where="a.json", error=DataError)
        {'size': [256, 256]}
        >>> parse_json('{"size": 1, "size": 2}', where="a.json", error=DataError)
        Traceback (most recent call last):
        runtime.core.errors.DataError: a.json: the key 'size' appears twice in one JSON object
    """
    try:
        parsed = json.loads(content, object_pairs_hook=_object)
    except RecursionError as fault:
        raise _too_deep(where, error) from fault
    except _RepeatedKeyError as fault:
        raise error(f"{where}: the key {fault} appears twice in one JSON object") from fault
    except ValueError as fault:
        raise error(f"{where}: not valid JSON ({fault})") from fault
    level = [parsed]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [item for node in level for item in _items(node) if isinstance(item, list | dict)]
        if not level:
            return parsed
    raise _too_deep(where, error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKeyError(repr(key[:40]))
    return content


def _items(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _too_deep(where: str, error: type[SegmentationError]) -> SegmentationError:
    return error(f"{where}: JSON nested deeper than {MAX_JSON_DEPTH} levels")
