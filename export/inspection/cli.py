"""`seg-inspect`: the contents of an exported file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command, require
from runtime.cli.options import json_option, model_argument, size_option
from runtime.cli.outputs import Outputs

if TYPE_CHECKING:
    from runtime.data.orientation import Size


@click.command(cls=Command)
@model_argument
@size_option
@json_option("everything that is shown")
def main(model: Path, size: "Size | None", json_file: Path | None) -> None:
    """Show what is in MODEL without running it: its card, layers, precision and certificate.

    Parameters, multiply-accumulates and bytes are counted from the graph, for one image. This works
    for files of other tools too; one that takes images of any size needs --size.
    """
    require("export", "onnx")
    from export.inspection.file import inspect
    from export.inspection.text import inspection_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict

    outputs = Outputs([model], json=json_file)
    inspection = inspect(model, size=size)
    click.echo(inspection_text(inspection))
    outputs.write(json=lambda path: write_json(path, to_dict(inspection)))
