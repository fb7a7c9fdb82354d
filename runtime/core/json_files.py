"""Reading JSON with bounds, and writing it so that every reader takes it."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

from runtime.core.errors import SegmentationError
from runtime.core.files import read_bytes, write_text

MAX_JSON_BYTES = 1 << 28
MAX_JSON_DEPTH = 64
"""Of lists and objects in each other; a COCO file needs 5, a study's result 10."""


def write_json(path: str | os.PathLike[str], content: object) -> None:
    """Write `content` as JSON, NaN and infinities as null. Raises OutputError."""
    write_text(path, json_text(content))


def json_text(content: object) -> str:
    """Return `content` as JSON, NaN and infinities as null."""
    return json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n"


def without_nan(content: object) -> Any:
    """Return `content` with every float that JSON cannot hold replaced by None."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return content


class _RepeatedKeyError(Exception):
    pass


def read_json(path: str | os.PathLike[str], *, error: type[SegmentationError]) -> Any:
    """Return the content of a JSON file; raise `error` where it is not JSON, as `parse_json`."""
    content = read_bytes(path, limit=MAX_JSON_BYTES, error=error)
    return parse_json(content, where=os.fspath(path), error=error)


def parse_json(content: bytes | str, *, where: str, error: type[SegmentationError]) -> Any:
    """Return what JSON holds.

    Args:
        where: the name of what is read, for the message.

    Raises:
        error: it is not JSON, is nested deeper than 64 levels, or has a key twice in an object
            (of which each reader takes the one it likes).
    """
    try:
        parsed = json.loads(content, object_pairs_hook=_object)
    except RecursionError as fault:
        raise _too_deep(where, error) from fault
    except _RepeatedKeyError as fault:
        raise error(f"{where}: expected JSON with each key once, found {fault} twice") from fault
    except ValueError as fault:
        raise error(f"{where}: expected JSON, found something else ({fault})") from fault
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
    return error(f"{where}: expected JSON of ordinary depth, found it nested too deep")
