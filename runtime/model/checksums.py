"""Checksums of a file's parts, in the file, so that a change can be named.

They tell damage and careless edits, not forgery: who changes a file on purpose can change them too.
Against that stands the digest that its author publishes (`OnnxFile.digest`, in the model card).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import ModelError
from runtime.core.json_files import parse_json
from runtime.core.schema import from_dict, to_dict
from runtime.model.golden import GOLDEN_KEY
from runtime.model.metadata import KEY
from runtime.model.onnx_file import Parts, read_parts

CHECKSUMS_KEY = "segmentation.checksums"
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Checksums:
    """SHA-256 (hexadecimal) of a file's parts.

    Attributes:
        metadata, golden: of the texts of the metadata and of the golden pair.
        structure: of everything but the weights and the metadata.
        weights: of each weight, by its name.
        schema: "major.minor"; a reader knows one major version.
    """

    metadata: str
    golden: str
    structure: str
    weights: dict[str, str]
    schema: str = "1.0"


def checksums_of(parts: Parts) -> Checksums:
    """Return what the checksums of a file are; `parts` was read with those of its weights."""
    return Checksums(
        metadata=_of_text(parts.properties, KEY),
        golden=_of_text(parts.properties, GOLDEN_KEY),
        structure=parts.structure,
        weights=dict(parts.weights),
    )


def digest_of(checksums: Checksums) -> str:
    """Return SHA-256 (hexadecimal) over all checksums of a file: over everything in it.

    Of the JSON text with sorted keys and without spaces, for others to compute.
    """
    text = json.dumps(to_dict(checksums), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stated_checksums(parts: Parts, where: str) -> Checksums:
    """Return the checksums that a file states.

    Raises:
        ModelError: there are none, or they are damaged.
    """
    text = parts.properties.get(CHECKSUMS_KEY)
    if text is None:
        raise ModelError(
            f"{where}: expected a file with checksums and a golden pair, as export-onnx writes "
            "it, found one without"
        )
    name = f"{where}: checksums"
    content = parse_json(text, where=name, error=ModelError)
    stated = from_dict(Checksums, content, where=name, error=ModelError)
    if stated.schema.split(".")[0] != "1":
        raise ModelError(f"{where}: expected checksums of version 1, found {stated.schema!r}")
    return stated


def dump_checksums(path: Path) -> str:
    """Return the checksums of the file `path` as JSON, to be put into it. Raises ModelError."""
    return json.dumps(to_dict(checksums_of(read_parts(path, each_weight=True))), sort_keys=True)


def weight_changes(stated: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Return which weights differ, are missing or were added, in words; empty where none."""
    changed = [name for name in stated if name in found and stated[name] != found[name]]
    missing = [name for name in stated if name not in found]
    added = [name for name in found if name not in stated]
    kinds = (("changed", changed), ("missing", missing), ("added", added))
    return "; ".join(f"{_some(names)} {kind}" for kind, names in kinds if names)


def _some(names: list[str]) -> str:
    rest = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _of_text(properties: Mapping[str, str], key: str) -> str:
    return hashlib.sha256(properties.get(key, "").encode()).hexdigest()
