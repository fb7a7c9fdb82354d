"""The manifest of splits: every file that a training depends on, and the digest of all."""

import hashlib
import json
from collections.abc import Iterable

from runtime.core.errors import AnnotationError, ImageError
from runtime.core.files import read_bytes
from runtime.core.json_files import MAX_JSON_BYTES
from runtime.data.images import MAX_FILE_BYTES
from runtime.data.split import Split


def manifest_sha256(splits: Iterable[Split]) -> str:
    """Return the fingerprint of splits: the SHA-256 over their manifest, in hexadecimal.

    The manifest has one line for each COCO file, followed by one line for each of its images in the
    file's order. A line holds split, name, and the SHA-256 of the file's bytes, separated by tabs.
    Where a COCO file refers to images elsewhere, `info` is excluded from its hash, since it depends
    on the place of the file.

    Raises:
        AnnotationError, ImageError: a file cannot be read.
    """
    manifest = hashlib.sha256()
    for split in splits:
        coco = read_bytes(split.annotation_file, limit=MAX_JSON_BYTES, error=AnnotationError)
        if split.image_root is not None:
            content = json.loads(coco)
            content.pop("info")
            coco = json.dumps(content, sort_keys=True).encode()
        manifest.update(_line(split.name, split.annotation_file.name, coco))
        for sample in split.samples:
            content = read_bytes(sample.path, limit=MAX_FILE_BYTES, error=ImageError)
            manifest.update(_line(split.name, sample.file_name, content))
    return manifest.hexdigest()


def _line(split: str, name: str, content: bytes) -> bytes:
    return f"{split}\t{name}\t{hashlib.sha256(content).hexdigest()}\n".encode()
