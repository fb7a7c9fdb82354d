"""Checksums of an exported file's parts, stored in the file, so that a change can be located.

They detect damage and careless edits, but not forgery: a forger can replace them too. To detect
forgery, compare the digest that the author publishes in the model card (`digest_of`).
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
from runtime.model.onnx_file import OnnxFile, Parts, read_parts

CHECKSUMS_KEY = "segmentation.checksums"
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Checksums:
    """SHA-256 (hexadecimal) of a file's parts.

    Attributes:
        metadata, golden: of the texts of the metadata and the golden pair.
        structure: of everything except the weights and the metadata.
        weights: of each weight, by its name.
        schema: "major.minor"; a reader accepts one major version.
    """

    metadata: str
    golden: str
    structure: str
    weights: dict[str, str]
    schema: str = "1.0"


def checksums_of(parts: Parts) -> Checksums:
    """Return the checksums of a file whose parts were read with `each_weight`."""
    return Checksums(
        metadata=_of_text(parts.properties, KEY),
        golden=_of_text(parts.properties, GOLDEN_KEY),
        structure=parts.structure,
        weights=dict(parts.weights),
    )


def digest_of(checksums: Checksums) -> str:
    """Return the SHA-256 (hexadecimal) over all checksums of a file, and so over its contents.

    It is taken over their JSON text with sorted keys and without spaces.

    Example:
        >>> digest_of(Checksums(metadata="0a", golden="1b", structure="2c", weights={}))[:8]
        '82ab6304'
    """
    text = json.dumps(to_dict(checksums), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stated_checksums(parts: Parts, where: str) -> Checksums:
    """Return the checksums that a file states.

    Raises:
        ModelError: the file has none, or they are damaged.
    """
    text = parts.properties.get(CHECKSUMS_KEY)
    if text is None:
        raise ModelError(
            f"{where}: no checksums and golden pair in this file; expected a file as export-onnx "
            "writes it"
        )
    name = f"{where}: checksums"
    content = parse_json(text, where=name, error=ModelError)
    stated = from_dict(Checksums, content, where=name, error=ModelError)
    if stated.schema.split(".")[0] != "1":
        raise ModelError(f"{where}: expected checksums of version 1, found {stated.schema!r}")
    return stated


def dump_checksums(path: Path) -> str:
    """Return the checksums of a file as JSON, to be stored in it. Raises ModelError."""
    return json.dumps(to_dict(checksums_of(read_parts(path, each_weight=True))), sort_keys=True)


def check_unchanged(file: OnnxFile) -> None:
    """Raise ModelError if a file's graph or weights changed since its export.

    The digest that its certificate states is compared with the one that was taken as the file was
    read, so that this takes no time. Only a file that has changed is read again, for the names of
    its weights. A file without a certificate passes.
    """
    certificate = None if file.metadata is None else file.metadata.parity
    if certificate is None or certificate.digest in ("", file.digest):
        return
    parts = read_parts(file.path, each_weight=True)
    changes = ""
    if CHECKSUMS_KEY in parts.properties:
        stated = stated_checksums(parts, str(file.path))
        changes = weight_changes(stated.weights, parts.weights)
    raise ModelError(
        f"{file.path}: changed since its export ({changes or 'its graph'}), so that its results "
        "would be wrong; get the file again, or run it with --no-verify of seg-predict or seg-eval "
        "(in Python verify=False)"
    )


def weight_changes(stated: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Return in words which weights changed, are missing or were added; empty if none.

    Example:
        >>> weight_changes({"a": "01", "b": "02"}, {"a": "03", "c": "04"})
        'a changed; b missing; c added'
    """
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
