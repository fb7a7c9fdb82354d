"""`seg-verify`: replay what exported files say of themselves."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command
from runtime.cli.display import table
from runtime.cli.options import json_option, threads_option

if TYPE_CHECKING:
    from runtime.model.verification import Verification


@click.command(cls=Command)
@click.argument(
    "models", metavar="MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--digest",
    metavar="SHA256",
    help="Of the file's contents, as its author publishes it (in the model card), or its first 8 "
    "or more digits; needs a single MODEL.onnx.",
)
@json_option("the checks")
@threads_option
def main(
    models: tuple[Path, ...], digest: str | None, json_file: Path | None, threads: int | None
) -> None:
    """Check that each MODEL.onnx is what was exported, and gives the certified numbers here.

    Its parts are compared with the checksums in it, and its golden pair (a synthetic scan and the
    probabilities for it) is run through this machine's ONNX Runtime. Exit code 1 where a check
    fails, 2 where a file cannot be read or has no checksums.
    """
    from runtime.core.errors import ModelError
    from runtime.core.files import ensure_apart, ensure_replaceable
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.model.verification import Verification, verify

    if digest is not None and len(models) != 1:
        raise click.UsageError("--digest needs a single MODEL.onnx")
    if json_file is not None:
        ensure_apart([json_file], models)
        ensure_replaceable(json_file)
    results: list[Verification] = []
    unreadable: list[str] = []
    for model in models:
        try:
            results.append(verify(model, threads=threads, digest=digest))
        except ModelError as error:
            unreadable.append(str(error))
            continue
        click.echo(_report(results[-1]))
    for message in unreadable:
        click.echo(f"Error: {message}", err=True)
    if json_file is not None:
        files = [to_dict(result) | {"passed": result.passed} for result in results]
        write_json(json_file, {"files": files, "unreadable": unreadable})
    if unreadable or not all(result.passed for result in results):
        raise click.exceptions.Exit(2 if unreadable else 1)


def _report(result: "Verification") -> str:
    rows = [(c.name, "passed" if c.passed else "FAILED", c.found) for c in result.checks]
    return (
        f"{result.path}: {'passed' if result.passed else 'FAILED'}\n"
        f"{table(('check', 'outcome', 'found'), rows)}\n"
        f"digest of the contents: {result.contents}\n"
    )
