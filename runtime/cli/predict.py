"""`seg-predict`: run an exported file on scans."""

from pathlib import Path

import click

from runtime.cli.shell import ARTIFACTS, Command, counted, progress, threads_option


@click.command(cls=Command)
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ARTIFACTS / "predictions",
    show_default=True,
    metavar="DIR",
    help="Where the pictures go.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "npy"]),
    default="png",
    show_default=True,
    help="Of the probability map: 16 bits a pixel, or float32.",
)
@click.option(
    "--size",
    type=int,
    metavar="N",
    help="Height and width of the network's input.  [default: what the file states]",
)
@threads_option
def main(
    model: Path,
    images: tuple[str, ...],
    out: Path,
    form: str,
    size: int | None,
    threads: int | None,
) -> None:
    """Write the probability map and an overlay of each IMAGE: a file, a folder or a glob.

    Both have the image's own size. Red grows with the probability, a yellow line goes round what
    is at least 0.5.
    """
    from runtime.predict_files import find_images, predict_files
    from runtime.predictor import Predictor

    found = find_images(images)
    predictor = Predictor(model, size=(size, size) if size else None, threads=threads)
    with progress("Predict") as bar:
        written = predict_files(predictor, found, out, form=form, on_image=bar)
    for one in written:
        click.echo(
            f"{one.image}: highest probability {one.highest:.3f}, "
            f"{one.foreground_share:.2%} of the pixels at 0.5 or more -> {one.overlay}"
        )
    click.echo(f"{counted(len(written), 'image')}, maps and overlays in {out}")
