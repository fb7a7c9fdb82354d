"""`seg-page`: exported files as a web page that computes in the browser."""

from pathlib import Path

import click

from runtime.cli.command import Command, require


@click.command(cls=Command)
@click.argument(
    "models", metavar="MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The page's folder, or with --single-file its HTML file.  [default: artifacts/page, "
    "artifacts/page.html]",
)
@click.option(
    "--single-file",
    is_flag=True,
    help="Write one HTML file that opens from disk, offline. It computes in one thread.",
)
@click.option(
    "--onnxruntime-web",
    "web_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where npm install onnxruntime-web was run.  [default: the current folder, else that of "
    "make page-tools]",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Then serve the page on 127.0.0.1 until Ctrl-C, so that browsers allow threads.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Of --serve.  [default: a free one]"
)
def main(
    models: tuple[Path, ...],
    out: Path | None,
    single_file: bool,
    web_folder: Path | None,
    serve: bool,
    port: int | None,
) -> None:
    """Write a web page that runs MODELs in the browser: nothing installed, nothing uploaded.

    In the open page, one drops scans and sees probability maps. Each MODEL must pass
    seg-verify; the page replays its golden pair and refuses it where a browser gives other numbers.
    """
    if single_file and serve:
        raise click.UsageError("--single-file opens from disk; it needs no --serve")
    if port is not None and not serve:
        raise click.UsageError("--port needs --serve")
    require("export", "jinja2")
    from export.page.build import build_page
    from export.page.serve import page_server
    from export.page.web_runtime import find_web_runtime

    target = out or Path("artifacts", "page.html" if single_file else "page")
    page = build_page(models, target, find_web_runtime(web_folder), single_file=single_file)
    click.echo(f"{page.index}: {page.total_bytes / 1e6:.1f} MB in all")
    if serve:
        with page_server(target, port or 0) as server:
            click.echo(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)")
            server.serve_forever()
