"""Cached results of finished steps, so that no step is carried out twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from runtime.core.errors import DataError
from runtime.core.files import write_text
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict, to_dict

Record = TypeVar("Record")


class StepCache:
    """A folder with one JSON file per step: its result, and a digest of its inputs.

    Example:
        >>> import tempfile
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Count:
        ...     images: int
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cache = StepCache(Path(folder))
        ...     first = cache.result("count", "digest", Count, lambda: Count(3))
        ...     cache.result("count", "digest", Count, lambda: Count(4))
        Count(images=3)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def result(
        self,
        step: str,
        inputs: object,
        kind: type[Record],
        make: Callable[[], Record],
        *,
        files: Sequence[Path] = (),
    ) -> Record:
        """Return the result of a step: the cached one if its inputs are the same, else a new one.

        Args:
            inputs: everything that the result depends on, as JSON can hold it.
            kind: the dataclass of the result.
            make: carries out the step.
            files: what the step writes; if one is missing, the step is carried out again.

        Raises:
            DataError: the cached result cannot be read.
        """
        cached = self.cached(step, inputs, kind, files=files)
        if cached is not None:
            return cached
        result = make()
        # Python's own JSON, which reads NaN and infinity back.
        content = {"made_from": _key(inputs), "result": to_dict(result)}
        write_text(self._path(step), json.dumps(content))
        return result

    def cached(
        self, step: str, inputs: object, kind: type[Record], *, files: Sequence[Path] = ()
    ) -> Record | None:
        """Return the cached result of a step, or None where `result` would carry it out.

        Raises:
            DataError: the cached result cannot be read.
        """
        content = self._read(step)
        if content.get("made_from") != _key(inputs) or not all(file.is_file() for file in files):
            return None
        where = str(self._path(step))
        return from_dict(kind, content.get("result"), where=where, error=DataError)

    def _path(self, step: str) -> Path:
        return self.folder / f"{step}.json"

    def _read(self, step: str) -> dict[str, Any]:
        path = self._path(step)
        content = read_json(path, error=DataError) if path.is_file() else {}
        if not isinstance(content, dict):
            raise DataError(f"{path}: not the cached result of a step")
        return content


def _key(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
