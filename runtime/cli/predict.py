"""`seg-predict`: run an exported file on scans."""

from pathlib import Path

import click

from runtime.cli.command import Command
from runtime.cli.display import counted, progress, skipped_text
from runtime.cli.options import ARTIFACTS, on_error_option, threads_option
from runtime.core.errors import printable


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
@on_error_option("")
@threads_option
def main(
    model: Path,
    images: tuple[str, ...],
    out: Path,
    form: str,
    size: int | None,
    on_error: str,
    threads: int | None,
) -> None:
    """Write the probability map and an overlay of each IMAGE: a file, a folder or a glob.

    Both have the image's own size. Red grows with the probability, a yellow line goes round what
    is at least 0.5. Of a folder, and of those below it, the regular files are taken that end in
    .jpg, .jpeg, .png, .bmp, .tif, .tiff or .webp.
    """
    from runtime.core.errors import ImageError
    from runtime.model.predict_files import find_images, predict_files
    from runtime.model.predictor import Predictor

    found = find_images(images)
    predictor = Predictor(model, size=(size, size) if size else None, threads=threads)
    skipped: list[str] = []
    with progress("Predict") as bar:
        written = predict_files(
            predictor,
            found,
            out,
            form=form,
            on_image=bar.count,
            on_error=(lambda error: skipped.append(str(error))) if on_error == "skip" else None,
        )
    if not written:
        raise ImageError(f"expected images that can be read, found none; the first: {skipped[0]}")
    for one in written:
        click.echo(
            f"{printable(one.image)}: highest probability {one.highest:.3f}, "
            f"{one.foreground_share:.2%} of the pixels at 0.5 or more -> {printable(one.overlay)}"
        )
    if skipped:
        click.echo(skipped_text(skipped))
    left_out = f", {len(skipped)} skipped" if skipped else ""
    click.echo(f"{counted(len(written), 'image')}{left_out}, maps and overlays in {out}")
