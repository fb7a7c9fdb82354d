"""`seg-bench backends`: one network in several runtimes."""

from pathlib import Path

import click

from bench.backends.backend import BACKENDS, REFERENCE, variant
from runtime.cli.command import Command
from runtime.cli.display import progress, table
from runtime.cli.options import json_option, threads_option
from runtime.cli.signals import stopping


@click.command(cls=Command)
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run's folder, or best.pt, that MODEL was exported from; for PyTorch.",
)
@click.option(
    "--backend",
    "names",
    multiple=True,
    type=click.Choice([backend.name for backend in BACKENDS]),
    help=f"Repeat it; {REFERENCE} always takes part.  [default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.onnx",
    help=f"Another variant of MODEL, as export-onnx writes it, for {REFERENCE} too; repeat it.",
)
@click.option(
    "--size",
    type=int,
    metavar="N",
    help="Height and width of the network's input.  [default: what the file states]",
)
@threads_option
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="N",
    help="Timed runs of each backend at most; 8 or more for a verdict.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Begin no further round after so long.",
)
@json_option("raw samples, medians, ratios, versions and the machine")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table as Markdown.",
)
def backends(
    model: Path,
    checkpoint: Path | None,
    names: tuple[str, ...],
    variants: tuple[Path, ...],
    size: int | None,
    threads: int | None,
    runs: int,
    seconds: float,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Time MODEL in this toolkit, ONNX Runtime called bare, PyTorch, OpenVINO, MNN and ncnn.

    Each in a process of its own, on the same inputs and threads, in turn; the others are stopped
    meanwhile. A backend's time counts only when its probabilities are those of ONNX Runtime. One
    that is not installed or cannot run the network is a row with the reason. Ctrl-C stops after the
    current round and keeps what was measured so far.
    """
    from bench.backends.measure import compare_backends
    from bench.backends.tables import HEADER, backends_markdown, backends_rows, conditions
    from runtime.core.errors import StoppedError
    from runtime.core.files import ensure_apart, ensure_replaceable, write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict

    chosen = [backend for backend in BACKENDS if not names or backend.name in (*names, REFERENCE)]
    chosen += [variant(path) for path in variants]
    outputs = [file for file in (json_file, markdown) if file is not None]
    ensure_apart(outputs, [model, *variants])
    for file in outputs:
        ensure_replaceable(file)
    with stopping() as stop:
        with progress("Backends") as bar:
            result = compare_backends(
                model,
                checkpoint=checkpoint,
                size=(size, size) if size else None,
                threads=threads,
                backends=chosen,
                runs=runs,
                seconds=seconds,
                listener=bar.count,
                stop=stop,
            )
        if json_file is not None:
            write_json(json_file, to_dict(result))
        if markdown is not None:
            write_text(markdown, backends_markdown(result))
        click.echo(table(HEADER, backends_rows(result)))
        click.echo(conditions(result))
        if result.interrupted:
            raise StoppedError(f"stopped after round {result.rounds}")
