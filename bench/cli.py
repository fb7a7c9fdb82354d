"""`seg-bench`: accuracy and cost of ONNX files."""

import click

from bench.backends.cli import backends
from bench.measure.cli import measure
from bench.sweep.cli import sweep
from runtime.cli.command import DefaultGroup


@click.group(
    cls=DefaultGroup,
    default="measure",
    subcommand_metavar="[measure] MODEL.onnx... | COMMAND [ARGS]...",
)
def main() -> None:
    """Measure accuracy and cost of ONNX files on this machine.

    `seg-bench artifacts/*.onnx` is short for `seg-bench measure artifacts/*.onnx`. See
    `seg-bench measure --help` for its options.
    """


main.add_command(measure)
main.add_command(backends)
main.add_command(sweep)
