"""Writing a graph as one self-sufficient file: metadata, golden pair and checksums in it."""

import copy
from dataclasses import replace
from pathlib import Path

import onnx

from runtime.core.files import replacing
from runtime.model.checksums import CHECKSUMS_KEY, dump_checksums
from runtime.model.golden import GOLDEN_KEY, Golden, dump_golden
from runtime.model.metadata import KEY, Metadata, dump_metadata
from runtime.model.onnx_file import OnnxFile, read_onnx, read_parts


def write_model(
    target: Path, model: onnx.ModelProto, metadata: Metadata, golden: Golden
) -> OnnxFile:
    """Write a file, wholly or not at all, and return it as the runtime reads it.

    The certificate in `metadata` is given the digest of what is written.

    Raises:
        OutputError: it cannot be written.
    """
    assert metadata.parity is not None
    content = copy.deepcopy(model)
    with replacing(target) as temporary:
        temporary.write_bytes(content.SerializeToString())
        parity = replace(metadata.parity, digest=read_parts(temporary).digest)
        texts = {
            KEY: dump_metadata(replace(metadata, parity=parity)),
            GOLDEN_KEY: dump_golden(golden),
        }
        onnx.helper.set_model_props(content, texts)
        temporary.write_bytes(content.SerializeToString())
        onnx.helper.set_model_props(content, texts | {CHECKSUMS_KEY: dump_checksums(temporary)})
        temporary.write_bytes(content.SerializeToString())
    return read_onnx(target)
