"""`seg-verify`: replay what exported files say of themselves."""

from pathlib import Path

import click

from runtime.cli.shell import Command, json_option, table, threads_option


@click.command(cls=Command)
@click.argument(
    "models", metavar="MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--digest",
    metavar="SHA256",
    help="Of graph and weights, as the file's author publishes it (in the model card), or its "
    "first 8 or more digits; needs a single MODEL.onnx.",
)
@json_option("the checks")
@threads_option
def main(
    models: tuple[Path, ...], digest: str | None, json_file: Path | None, threads: int | None
) -> None:
    """Check that each MODEL.onnx is what was exported, and gives the certified numbers here.

    Its parts are compared with the checksums in it, and its golden pair (a synthetic scan and the
    probabilities for it) is run through this machine's ONNX Runtime. Exit code 1 where a check
    fails.
    """
    from runtime.files import write_json
    from runtime.schema import to_dict
    from runtime.verification import verify

    if digest is not None and len(models) != 1:
        raise click.UsageError("--digest needs a single MODEL.onnx")
    results = [verify(model, threads=threads, digest=digest) for model in models]
    for result in results:
        click.echo(f"{result.path}: {'passed' if result.passed else 'FAILED'}")
        rows = [(c.name, "passed" if c.passed else "FAILED", c.found) for c in result.checks]
        click.echo(table(("check", "", "found"), rows))
        click.echo(f"digest of graph and weights: {result.digest}\n")
    if json_file is not None:
        write_json(json_file, {"files": [to_dict(r) | {"passed": r.passed} for r in results]})
    if not all(result.passed for result in results):
        raise click.exceptions.Exit(1)
