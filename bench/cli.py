"""`seg-bench`: accuracy and cost of ONNX files."""

import click

from bench.backends.cli import backends
from bench.measure.cli import measure
from bench.sweep.cli import sweep
from runtime.cli.command import Group

DEFAULT = "measure"


class _DefaultGroup(Group):
    """A group that passes arguments without a command to `measure`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultGroup, subcommand_metavar="[measure] MODEL.onnx... | COMMAND [ARGS]...")
def main() -> None:
    """Measure accuracy and cost of ONNX files on this machine.

    `seg-bench artifacts/*.onnx` is short for `seg-bench measure artifacts/*.onnx`. See
    `seg-bench measure --help` for its options.
    """


main.add_command(measure)
main.add_command(backends)
main.add_command(sweep)
