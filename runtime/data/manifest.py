"""A fingerprint of a data set, so that a network can say what exactly it was trained on."""

import hashlib
import json
from collections.abc import Iterable

from runtime.core.errors import AnnotationError, ImageError
from runtime.core.files import MAX_JSON_BYTES, read_bytes
from runtime.data.coco import Split
from runtime.data.images import MAX_FILE_BYTES


def manifest_sha256(splits: Iterable[Split]) -> str:
    """Return the SHA-256 (hexadecimal) over a manifest of splits.

    The manifest has a line for each COCO file, then one for each of its images in the file's
    order: split, name, and the SHA-256 of the file's bytes, with tabs between. Of a COCO file that
    refers to images elsewhere `info` is left out, since it depends on where the file lies.

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
