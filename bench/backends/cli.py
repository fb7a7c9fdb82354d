"""`seg-bench backends`: one network in several engines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.backends.backend import BACKENDS, REFERENCE, Backend, BackendLimits, variant_backend
from runtime.cli.command import Command
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import progress, table
from runtime.cli.options import File, json_option, model_argument, size_option, threads_option
from runtime.cli.outputs import Outputs
from runtime.cli.signals import stopping

if TYPE_CHECKING:
    from bench.backends.result import BackendComparison
    from runtime.data.orientation import Size


@click.command(cls=Command)
@model_argument
@click.option(
    "--checkpoint",
    type=File,
    metavar="RUN",
    help="The run folder, or its best.pt, that MODEL was exported from. PyTorch needs it.",
)
@click.option(
    "--backend",
    "names",
    multiple=True,
    type=click.Choice([backend.name for backend in BACKENDS]),
    help=f"A backend to time beside {REFERENCE}; can be repeated.  [default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=File,
    metavar="FILE.onnx",
    help=f"Another variant of MODEL from export-onnx, run by {REFERENCE}; can be repeated.",
)
@size_option
@threads_option
@config_options(BackendLimits)
@json_option("raw samples, medians, ratios, versions and the machine")
@click.option("--markdown", type=File, metavar="FILE", help="Write the table as Markdown.")
def backends(
    model: Path,
    checkpoint: Path | None,
    names: tuple[str, ...],
    variants: tuple[Path, ...],
    size: "Size | None",
    threads: int | None,
    json_file: Path | None,
    markdown: Path | None,
    **limits: Any,
) -> None:
    """Time MODEL in this toolkit, plain ONNX Runtime, PyTorch, OpenVINO, MNN and ncnn.

    Each backend runs in a process of its own, on the same inputs and threads, interleaved with the
    others, which are paused meanwhile. Its time counts only if its probabilities equal those of
    ONNX Runtime. The table says why a backend was not compared. Ctrl-C stops after the current
    round and keeps the results so far.
    """
    from bench.backends.compare import compare_backends
    from runtime.core.errors import StoppedError

    outputs = Outputs([model, *variants], json=json_file, markdown=markdown)
    with stopping() as stop:
        with progress("Backends") as bar:
            result = compare_backends(
                model,
                checkpoint=checkpoint,
                size=size,
                threads=threads,
                backends=_chosen(names, variants),
                limits=BackendLimits(**given_settings(limits)),
                on_progress=bar,
                stop=stop,
            )
        _show(result, outputs)
        if result.interrupted:
            raise StoppedError(f"stopped after round {result.rounds}")


def _show(result: "BackendComparison", outputs: Outputs) -> None:
    """Print the result, and write the files that were asked for."""
    from bench.backends.tables import HEADER, backends_markdown, backends_rows, conditions
    from runtime.core.files import write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict

    click.echo(table(HEADER, backends_rows(result)))
    click.echo(conditions(result))
    outputs.write(
        json=lambda path: write_json(path, to_dict(result)),
        markdown=lambda path: write_text(path, backends_markdown(result)),
    )


def _chosen(names: tuple[str, ...], variants: tuple[Path, ...]) -> list[Backend]:
    chosen = [backend for backend in BACKENDS if not names or backend.name in (*names, REFERENCE)]
    return [*chosen, *(variant_backend(path) for path in variants)]
