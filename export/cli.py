"""`export-onnx`: checkpoints to ONNX files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command, require, share_cores
from runtime.cli.display import ProgressLines
from runtime.cli.options import ARTIFACTS, data_option, threads_option

if TYPE_CHECKING:
    from export.onnx_export import ExportResult
    from export.request import ExportRequest, Optimization, WeightPrecision
    from runtime.core.progress import Progress
    from runtime.model.certificate import Conversion, Parity


@click.command(cls=Command)
@click.argument("checkpoints", metavar="[CHECKPOINT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file for a single checkpoint or an ensemble.  [default: RUN.onnx beside the folder "
    "RUN]",
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
    help="Precision of the weights. fp16 halves the file and computes in float32. int8 computes "
    "in 8 bits where that is faster and costs no accuracy on the valid split of --data.",
)
@click.option(
    "--optimize",
    "optimization",
    type=click.Choice(["winograd"]),
    help="winograd: compute 3x3 convolutions by minimal filtering, at the one size that the "
    "network was trained at. Written only if faster on this machine.",
)
@click.option(
    "--license",
    "license_id",
    metavar="SPDX",
    help="License of the network, stated in the file and its card, such as Apache-2.0.  "
    "[default: none stated]",
)
@click.option(
    "--arch",
    "own",
    multiple=True,
    metavar="MODULE:FUNCTION",
    help="Your own network, whose code may be run; a checkpoint alone never runs code. Repeatable.",
)
@data_option("what the network was trained on")
@threads_option
def main(
    checkpoints: tuple[Path, ...],
    out: Path | None,
    ensemble: bool,
    precision: "WeightPrecision",
    optimization: "Optimization | None",
    license_id: str | None,
    own: tuple[str, ...],
    data: Path | None,
    threads: int | None,
) -> None:
    """Write each CHECKPOINT (best.pt, or a run's folder) as one ONNX file with a sigmoid output.

    Without CHECKPOINT, every run below artifacts/ is exported. A file is written only if ONNX
    Runtime gives PyTorch's probabilities on real images of --data and on artificial ones. With a
    lower precision, soft IoU on the valid split may fall by at most 0.005. seg-verify checks a
    file's certificate again; seg-inspect shows what is in a file.
    """
    require("export", "torch", "torchvision", "onnx", "onnxscript", "jinja2")
    share_cores()
    from export.request import ExportRequest, check_files, default_output

    if optimization is not None and precision != "fp32":
        raise click.UsageError(f"--optimize {optimization} needs --precision fp32")
    requests = [
        ExportRequest(
            group,
            out or default_output(group[0], precision, optimization),
            data,
            precision,
            optimization,
            threads,
            license=license_id,
            own=own,
        )
        for group in _groups(checkpoints, out, ensemble)
    ]
    check_files(requests)
    click.echo("  loading PyTorch", err=True)
    from export.onnx_export import export_checkpoints

    for request in requests:
        click.echo(_report(export_checkpoints(request, on_progress=_PhaseLines()), request))


def _groups(
    checkpoints: tuple[Path, ...], out: Path | None, ensemble: bool
) -> list[tuple[Path, ...]]:
    """Return the checkpoints of each file to write."""
    from export.request import find_checkpoints
    from train.run_folder import BEST

    chosen = tuple(path / BEST if path.is_dir() else path for path in checkpoints)
    if ensemble:
        if out is None:
            raise click.UsageError("--ensemble needs --out")
        if len(chosen) < 2:
            raise click.UsageError(f"--ensemble needs at least two networks, found {len(chosen)}")
        return [chosen]
    if out is not None and len(chosen) != 1:
        raise click.UsageError("--out needs a single CHECKPOINT, or --ensemble")
    return [(path,) for path in chosen or find_checkpoints(ARTIFACTS)]


class _PhaseLines:
    """A progress callback that prints each phase on standard error, and how far a long one is."""

    def __init__(self) -> None:
        self._phase = ""
        self._lines = ProgressLines()

    def __call__(self, progress: "Progress") -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            click.echo(f"  {progress.phase}", err=True)
        else:
            self._lines(progress)


def _report(result: "ExportResult", request: "ExportRequest") -> str:
    metadata, file = result.metadata, result.file
    network = metadata.network
    assert metadata.parity is not None
    title = f"{network.arch} of width {network.width}"
    if metadata.members:
        title = f"ensemble of {', '.join(member.name for member in metadata.members)}"
    lines = [
        f"{file.path}: {title}, {network.parameters:,} parameters, "
        f"{network.macs / 1e9:.3g} GMACs, {file.file_bytes / 1e6:.1f} MB",
        _parity_line(metadata.parity),
    ]
    if not metadata.input.multiple:
        lines.append(f"takes inputs of {metadata.input.height}x{metadata.input.width} alone")
    if metadata.conversion is not None:
        lines += _conversion_lines(metadata.conversion, request.variant, file.file_bytes)
    return "\n  ".join(lines)


def _parity_line(parity: "Parity") -> str:
    return (
        f"compared with PyTorch in float64 on {parity.inputs} inputs, among them {parity.images} "
        f"images of {parity.images_from}: probabilities differ by at most "
        f"{parity.max_probability:.1e}, logits by {parity.max_logit:.1e}; "
        f"{parity.flipped_pixels} of {parity.pixels:,} pixels change sides at 0.5"
    )


def _conversion_lines(conversion: "Conversion", variant: str, file_bytes: int) -> list[str]:
    timing = conversion.timing
    return [
        f"{variant}: {conversion.method}",
        f"{file_bytes / conversion.plain_bytes:.1%} of the float32 file's size",
        f"{timing.after_ms / timing.before_ms:.2f} of its time per image: {timing.after_ms:.3g} ms "
        f"instead of {timing.before_ms:.3g} ms, medians of {timing.runs} interleaved runs",
        f"pooled soft IoU {conversion.soft_iou_after:.4f} instead of "
        f"{conversion.soft_iou_before:.4f}, on {conversion.judged_on}",
        *(f"not converted: {layer.name}, {layer.reason}" for layer in conversion.unconverted),
    ]
