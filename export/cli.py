"""`export-onnx`: checkpoints to ONNX files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command, require, share_cores
from runtime.cli.options import ARTIFACTS, data_option, threads_option

if TYPE_CHECKING:
    from export.onnx_export import ExportResult
    from export.variants.variants import Optimization, Precision


@click.command(cls=Command)
@click.argument("checkpoints", metavar="[CHECKPOINT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of a single checkpoint, or an ensemble.  [default: RUN.onnx beside the folder RUN]",
)
@click.option(
    "--ensemble",
    is_flag=True,
    help="Write all CHECKPOINTs as one file, which gives the mean of their probabilities.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Of the weights in the file. fp16 is for storage, arithmetic stays float32; int8 computes "
    "in 8 bits where that gains speed and costs no accuracy, judged on the valid split of --data.",
)
@click.option(
    "--optimize",
    "optimization",
    type=click.Choice(["winograd"]),
    help="winograd: 3x3 convolutions by minimal filtering, for the one size that the network was "
    "trained at. Only where that is faster on this machine.",
)
@data_option("what the network was trained on")
@threads_option
def main(
    checkpoints: tuple[Path, ...],
    out: Path | None,
    ensemble: bool,
    precision: "Precision",
    optimization: "Optimization | None",
    data: Path | None,
    threads: int | None,
) -> None:
    """Write each CHECKPOINT (best.pt, or a run's folder) as one ONNX file with a sigmoid output.

    Without CHECKPOINT every run below artifacts/ is exported. A file is only written when ONNX
    Runtime gives PyTorch's probabilities on images of --data and on artificial ones, and one of
    lower precision when soft IoU on the valid split of --data falls by at most 0.005. seg-verify
    replays a file's certificate, seg-inspect shows what is in it.
    """
    require("export", "torch", "torchvision", "onnx", "onnxscript", "jinja2")
    share_cores()
    from export.ensemble import export_ensemble
    from export.onnx_export import default_output, export_checkpoint, find_checkpoints
    from train.checkpoint import BEST

    if optimization is not None and precision != "fp32":
        raise click.UsageError(f"--optimize {optimization} needs --precision fp32")
    chosen = [path / BEST if path.is_dir() else path for path in checkpoints]
    if ensemble:
        if out is None:
            raise click.UsageError("--ensemble needs --out")
        result = export_ensemble(
            chosen,
            out,
            data=data,
            precision=precision,
            optimization=optimization,
            threads=threads,
            on_step=_tell,
        )
        click.echo(_report(result))
        return
    if out is not None and len(chosen) != 1:
        raise click.UsageError("--out needs a single CHECKPOINT, or --ensemble")
    for checkpoint in chosen or find_checkpoints(ARTIFACTS):
        output = out or default_output(checkpoint, precision, optimization)
        result = export_checkpoint(
            checkpoint,
            output,
            data=data,
            precision=precision,
            optimization=optimization,
            threads=threads,
            on_step=_tell,
        )
        click.echo(_report(result))


def _report(result: "ExportResult") -> str:
    network, parity = result.metadata.network, result.metadata.parity
    assert parity is not None
    what = f"{network.arch} of width {network.width}"
    if result.metadata.members:
        what = f"ensemble of {', '.join(member.name for member in result.metadata.members)}"
    lines = (
        f"{result.file.path}: {what}, {network.parameters:,} parameters, "
        f"{network.macs / 1e9:.3g} GMACs, {result.file.file_bytes / 1e6:.1f} MB\n"
        f"  compared with PyTorch in float64 on {parity.inputs} inputs, {parity.images} of them "
        f"images of {parity.images_from}, one by one: probabilities differ by at most "
        f"{parity.max_probability:.1e}, logits by {parity.max_logit:.1e}, "
        f"{parity.flipped_pixels} of {parity.pixels:,} pixels change side at 0.5"
    )
    conversion = result.metadata.conversion
    if conversion is None:
        return lines
    timing = conversion.timing
    kept = "".join(
        f"\n  as it was: {layer.name}, {layer.reason}" for layer in conversion.unconverted
    )
    return (
        f"{lines}\n  {conversion.method}: "
        f"{result.file.file_bytes / conversion.plain_bytes:.1%} of the float32 file's size, "
        f"{timing.after_ms / timing.before_ms:.2f} of its time ({timing.after_ms:.3g} ms against "
        f"{timing.before_ms:.3g}, medians of {timing.runs} runs in turn), pooled soft IoU "
        f"{conversion.soft_iou_after:.4f} against {conversion.soft_iou_before:.4f} on "
        f"{conversion.judged_on}{kept}"
    )


def _tell(step: str) -> None:
    click.echo(f"  {step}", err=True)
