"""The model card beside an exported file, made from what the file says about itself.

Markdown with the front matter that model hubs read (https://huggingface.co/docs/hub/model-cards),
the scores on the validation split as its `model-index`.
"""

from runtime.model.checksums import checksums_of, digest_of
from runtime.model.metadata import MemberInfo
from runtime.model.onnx_file import OnnxFile, read_parts

METRICS = {"precision": "soft precision", "recall": "soft recall", "iou": "soft IoU"}


def model_card(file: OnnxFile) -> str:
    """Return the card of a file that `export-onnx` has written.

    Raises:
        ValueError: the file has no metadata.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    metadata = file.metadata
    if metadata is None:
        raise ValueError(f"{file.path}: expected a file with metadata, found one without")
    members = metadata.members
    if metadata.training is not None:
        members = (
            MemberInfo(metadata.name, metadata.network, metadata.training, metadata.encoder),
        )
    environment = Environment(
        loader=PackageLoader("export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701, the card is Markdown
    )
    contents = digest_of(checksums_of(read_parts(file.path, each_weight=True)))
    return environment.get_template("card.md").render(
        file=file, about=metadata, members=members, metrics=METRICS, contents=contents
    )
