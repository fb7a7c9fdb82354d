"""`seg-bench peers`: one network in several runtimes."""

from pathlib import Path

import click

from bench.backends.backend import PEERS, REFERENCE, form
from runtime.cli.shell import Command, json_option, progress, table, threads_option
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
    "--peer",
    "names",
    multiple=True,
    type=click.Choice([peer.name for peer in PEERS]),
    help=f"Repeat it; {REFERENCE} always takes part.  [default: all]",
)
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.onnx",
    help=f"Another form of MODEL, as export-onnx writes it, for {REFERENCE} too; repeat it.",
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
    help="Timed runs of each peer at most; 8 or more for a verdict.",
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
def peers(
    model: Path,
    checkpoint: Path | None,
    names: tuple[str, ...],
    forms: tuple[Path, ...],
    size: int | None,
    threads: int | None,
    runs: int,
    seconds: float,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Time MODEL in this toolkit, ONNX Runtime called bare, PyTorch, OpenVINO, MNN and ncnn.

    Each in a process of its own, on the same inputs and threads, in turn; the others are stopped
    meanwhile. A peer's time counts only when its probabilities are those of ONNX Runtime. One that
    is not installed or cannot run the network is a row with the reason. Ctrl-C stops after the
    current round and keeps what was measured so far.
    """
    from bench.backends.measure import compare_peers
    from bench.backends.tables import HEADER, conditions, peers_markdown, peers_rows
    from runtime.core.errors import StoppedError
    from runtime.core.files import ensure_apart, ensure_replaceable, write_json, write_text
    from runtime.core.schema import to_dict

    chosen = [peer for peer in PEERS if not names or peer.name in (*names, REFERENCE)]
    chosen += [form(path) for path in forms]
    outputs = [file for file in (json_file, markdown) if file is not None]
    ensure_apart(outputs, [model, *forms])
    for file in outputs:
        ensure_replaceable(file)
    with stopping() as stop:
        with progress("Peers") as bar:
            result = compare_peers(
                model,
                checkpoint=checkpoint,
                size=(size, size) if size else None,
                threads=threads,
                peers=chosen,
                runs=runs,
                seconds=seconds,
                listener=bar,
                stop=stop,
            )
        if json_file is not None:
            write_json(json_file, to_dict(result))
        if markdown is not None:
            write_text(markdown, peers_markdown(result))
        click.echo(table(HEADER, peers_rows(result)))
        click.echo(conditions(result))
        if result.interrupted:
            raise StoppedError(f"stopped after round {result.rounds}")
