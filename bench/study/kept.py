"""Results of finished steps, kept on disk so that no step is done twice."""

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


class Kept:
    """A folder with a JSON file for each step: its result, and what that was made from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def result(
        self,
        step: str,
        made_from: object,
        kind: type[Record],
        make: Callable[[], Record],
        *,
        files: Sequence[Path] = (),
    ) -> Record:
        """Return a step's result: the kept one where it was made from the same, else a new one.

        Args:
            made_from: what the result depends on, as JSON can hold it.
            kind: the result's dataclass.
            files: what the step writes; where one is gone the step is done again.

        Raises:
            DataError: the kept result cannot be read.
        """
        key = _key(made_from)
        content = self._read(step)
        if content.get("made_from") == key and all(file.is_file() for file in files):
            where = str(self._path(step))
            return from_dict(kind, content.get("result"), where=where, error=DataError)
        result = make()
        # Python's JSON, in which NaN and infinities come back as they were.
        content = {"made_from": key, "result": to_dict(result)}
        write_text(self._path(step), json.dumps(content))
        return result

    def has(self, step: str, made_from: object) -> bool:
        """Tell whether a step's result is kept that was made from the same."""
        return bool(self._read(step).get("made_from") == _key(made_from))

    def _path(self, step: str) -> Path:
        return self.folder / f"{step}.json"

    def _read(self, step: str) -> dict[str, Any]:
        path = self._path(step)
        content = read_json(path, error=DataError) if path.is_file() else {}
        if not isinstance(content, dict):
            raise DataError(f"{path}: expected the result of a step, found something else")
        return content


def _key(made_from: object) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
