"""An exported file and the model card beside it.

The file holds graph, weights, metadata, golden pair and checksums. The card is Markdown with the
front matter that model hubs read (https://huggingface.co/docs/hub/model-cards), with the scores on
the validation split as its `model-index`.
"""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from export.conversion import ensure_standard
from runtime.core.files import replacing, write_text
from runtime.model.checksums import CHECKSUMS_KEY, checksums_of, digest_of, dump_checksums
from runtime.model.golden import GOLDEN_KEY, Golden, dump_golden
from runtime.model.metadata import KEY, MemberInfo, Metadata, dump_metadata
from runtime.model.onnx_file import OnnxFile, read_onnx, read_parts

if TYPE_CHECKING:
    from jinja2 import Template

METRICS = {"precision": "soft precision", "recall": "soft recall", "iou": "soft IoU"}


def write_model(
    target: Path, model: onnx.ModelProto, metadata: Metadata, golden: Golden
) -> OnnxFile:
    """Write a file and its card, and return the file as the runtime reads it.

    The file is written completely or not at all. The certificate in `metadata` receives the digest
    of the written graph and weights.

    Raises:
        ParityError: the graph does not consist of standard operators only.
        OutputError: it cannot be written.
    """
    assert metadata.parity is not None
    ensure_standard(model)
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
    file = read_onnx(target)
    write_text(card_path(target), model_card(file))
    return file


def card_path(target: Path) -> Path:
    """Return the path of an exported file's model card, beside the file.

    Example:
        >>> card_path(Path("artifacts/unet.onnx")).as_posix()
        'artifacts/unet.md'
    """
    return target.with_suffix(".md")


def model_card(file: OnnxFile) -> str:
    """Return the card of a file that `export-onnx` has written.

    Raises:
        ValueError: the file has no metadata.
    """
    metadata = file.metadata
    if metadata is None:
        raise ValueError(f"{file.path}: a model card needs a file with metadata")
    members = metadata.members
    if metadata.training is not None:
        members = (
            MemberInfo(metadata.name, metadata.network, metadata.training, metadata.encoder),
        )
    contents = digest_of(checksums_of(read_parts(file.path, each_weight=True)))
    return _template().render(
        file=file, about=metadata, members=members, metrics=METRICS, contents=contents
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701, the card is Markdown
    )
    return environment.get_template("card.md")
