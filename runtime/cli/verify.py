"""`seg-verify`: check exported files against their checksums and their golden pair."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command
from runtime.cli.display import engine_text, table
from runtime.cli.options import json_option, models_argument, provider_options, threads_option
from runtime.cli.outputs import Outputs
from runtime.model.providers import ProviderRequest

if TYPE_CHECKING:
    from runtime.model.verification import Verification


@click.command(cls=Command)
@models_argument
@click.option(
    "--digest",
    metavar="SHA256",
    help="The expected digest of the contents, as published in the model card, or at least its "
    "first 8 digits; needs a single MODEL.onnx.",
)
@json_option("the checks")
@provider_options
@threads_option
def main(
    models: tuple[Path, ...],
    digest: str | None,
    json_file: Path | None,
    threads: int | None,
    provider: ProviderRequest,
) -> None:
    """Check that each MODEL.onnx is unchanged, and computes the certified numbers here.

    Its parts are compared with the checksums in it. Its golden pair (a synthetic scan and the
    expected probabilities) is run through this machine's ONNX Runtime, on the provider that is
    asked for. Exit code 1 if a check fails, 2 if a file cannot be read or has no checksums.
    """
    from runtime.core.errors import ModelError
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.model.verification import Verification, verify

    if digest is not None and len(models) != 1:
        raise click.UsageError("--digest needs a single MODEL.onnx")
    outputs = Outputs(models, json=json_file)
    results: list[Verification] = []
    unreadable: list[str] = []
    for model in models:
        try:
            result = verify(model, threads=threads, provider=provider, contents_digest=digest)
        except ModelError as error:
            unreadable.append(str(error))
        else:
            results.append(result)
            click.echo(_report(result))
    for message in unreadable:
        click.echo(f"Error: {message}", err=True)
    files = [to_dict(result) | {"passed": result.passed} for result in results]
    content = {"files": files, "unreadable": unreadable}
    outputs.write(json=lambda file: write_json(file, content))
    if unreadable or not all(result.passed for result in results):
        raise click.exceptions.Exit(2 if unreadable else 1)


def _report(result: "Verification") -> str:
    rows = [(c.name, "passed" if c.passed else "FAILED", c.found) for c in result.checks]
    return (
        f"{result.path}: {'passed' if result.passed else 'FAILED'}\n"
        f"{table(('check', 'outcome', 'found'), rows)}\n"
        f"digest of the contents: {result.contents_digest}\n"
        + ("" if result.engine is None else f"replayed on {engine_text(result.engine)}\n")
        + ("" if result.choice is None else f"{result.choice}\n")
    )
