"""Pseudonyms: names of scans that tell nothing of a patient, and messages without their names."""

import glob
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

_DIGITS = 12
WITHHELD = "its reason is not shown, because it names a file or folder"


class Pseudonyms:
    """Names that stand for scans: hashes with a key (HMAC-SHA256) that is drawn anew and not kept.

    Args:
        places: files, folders and globs that hold the scans. Their names, and all names in these
            folders, are taken for data of patients.
        key: by default 32 random bytes.

    Example:
        >>> names = Pseudonyms(["/doe/head.dcm"], key=b"a key")
        >>> names.of("/doe/head.dcm")
        'scan-91077c7a9d09'
        >>> names.message("/doe/head.dcm: damaged image")
        'scan-91077c7a9d09: damaged image'
        >>> names.message("cannot read what head.dcm refers to")
        'a scan: its reason is not shown, because it names a file or folder'
    """

    def __init__(self, places: Sequence[str | Path], key: bytes | None = None) -> None:
        self._places = tuple(map(str, places))
        self._key = secrets.token_bytes(32) if key is None else key
        self._scans: dict[str, str] = {}

    def of(self, scan: str | Path) -> str:
        """Return the name that stands for a scan's path."""
        path = str(scan)
        if path not in self._scans:
            where = os.path.realpath(path).encode(errors="surrogateescape")
            digest = hmac.new(self._key, where, hashlib.sha256).hexdigest()
            self._scans[path] = f"scan-{digest[:_DIGITS]}"
        return self._scans[path]

    def message(self, text: str) -> str:
        """Return a message in which pseudonyms stand for scans.

        A path at its beginning becomes the pseudonym of its scan, or "a scan". What follows is
        withheld if any name of a file or folder is in it.
        """
        found = max((path for path in self._paths if text.startswith(path)), key=len, default="")
        rest = text[len(found) :].removeprefix(":").strip()
        about = [scan for scan in self._scans if found == scan or found.startswith(scan + os.sep)]
        named = self._scans[max(about, key=len)] if about else "a scan"
        if self._names.search(rest):
            return f"{named}: {WITHHELD}"
        return f"{named}: {rest}" if found else rest

    @cached_property
    def _paths(self) -> frozenset[str]:
        """All files and folders of the places, as messages begin with them."""
        return frozenset(path for place in self._places for path in _all_below(place))

    @cached_property
    def _names(self) -> re.Pattern[str]:
        """A pattern that finds any name of a file or folder, also without its ending."""
        parts = {part for path in self._paths for part in Path(path).parts} - {os.sep, ".", ".."}
        parts |= {Path(part).stem for part in parts}
        words = "|".join(map(re.escape, sorted(parts)))
        return re.compile(rf"(?<!\w)(?:{words})(?!\w)" if words else r"(?!)", re.IGNORECASE)


def _all_below(place: str) -> Iterator[str]:
    """Yield a file, folder or glob, what it names, and all paths in folders."""
    for root in {place, str(Path(place)), *glob.glob(place, recursive=True)}:  # noqa: PTH207
        yield root
        for folder, folders, files in os.walk(root):
            yield from (os.path.join(folder, name) for name in (*folders, *files))  # noqa: PTH118
