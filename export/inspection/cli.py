"""`seg-inspect`: what is in an exported file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.command import Command, require
from runtime.cli.display import counted, table
from runtime.cli.options import json_option
from runtime.core.errors import printable

if TYPE_CHECKING:
    from export.inspection.counts import Counts, LayerCounts
    from export.inspection.file import Inspection, ValueInfo
    from runtime.model.metadata import Metadata

_BOUND = "at least "
_LONGEST = 80


@click.command(cls=Command)
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.option(
    "--size",
    type=int,
    metavar="N",
    help="Height and width of the network's input.  [default: what the file states]",
)
@json_option("everything that is shown")
def main(model: Path, size: int | None, json_file: Path | None) -> None:
    """Show what is in MODEL, without running it: its card, layers, precision and certificate.

    Parameters, multiply-accumulates and bytes are counted from the graph, for one image, also in
    files of other origin. Such a file needs --size if it takes images of any size.
    """
    require("export", "onnx")
    from export.inspection.file import inspect
    from runtime.core.files import ensure_apart, ensure_replaceable
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict

    if json_file is not None:
        ensure_apart([json_file], [model])
        ensure_replaceable(json_file)
    inspection = inspect(model, size=None if size is None else (size, size))
    click.echo(_render(inspection))
    if json_file is not None:
        write_json(json_file, to_dict(inspection))
        click.echo(f"\n{json_file}")


def _render(inspection: "Inspection") -> str:
    counts = inspection.counts
    parts = [
        _file(inspection),
        _card(inspection.metadata) if inspection.metadata else "",
        _layers(counts),
        _totals(inspection),
        _precision(counts),
        _operators(counts),
        _uncounted(counts),
        _certificate(inspection.metadata) if inspection.metadata else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _file(inspection: "Inspection") -> str:
    producer = _short(inspection.producer) or "an unnamed tool"
    lines = [
        f"{inspection.file}: {inspection.file_bytes / 1e6:.1f} MB, opset {inspection.opset}, "
        f"IR version {inspection.ir_version}, made by {producer}",
        f"  digest of graph and weights (SHA-256): {inspection.digest}",
        *(f"  input {_value(value)}" for value in inspection.inputs),
        *(f"  output {_value(value)}" for value in inspection.outputs),
    ]
    if inspection.metadata is not None:
        spec = inspection.metadata.input
        others = f"; other sizes in multiples of {spec.multiple}" if spec.multiple else " alone"
        lines.append(f"  size {spec.height}x{spec.width}{others}")
    return "\n".join(lines)


def _short(text: str) -> str:
    """Return a name from a file as something to print: no control characters, no book."""
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _value(value: "ValueInfo") -> str:
    return f"'{_short(value.name)}' {value.type} {_shape(value.shape)}"


def _shape(shape: "tuple[int | str | None, ...] | None") -> str:
    return "?" if shape is None else f"[{', '.join(_side(side) for side in shape)}]"


def _side(side: int | str | None) -> str:
    return "?" if side is None else _short(str(side))


def _card(metadata: "Metadata") -> str:
    from runtime.model.metadata import MemberInfo

    lines = []
    if metadata.members:
        lines.append(f"{metadata.name}: the mean of {counted(len(metadata.members), 'network')}")
    if metadata.conversion is not None:
        lines.append(f"{metadata.precision}: {metadata.conversion.method}")
    members = metadata.members
    if metadata.training is not None:
        alone = MemberInfo(metadata.name, metadata.network, metadata.training, metadata.encoder)
        members = (alone,)
    for member in members:
        network, training = member.network, member.training
        encoder = member.encoder
        on = f", on {encoder.source}{' (frozen)' if encoder.frozen else ''}" if encoder else ""
        scores = ", ".join(f"{name} {value:.4f}" for name, value in training.validation.items())
        lines += [
            f"{member.name}: {network.arch} of width {network.width}{on}",
            f"  trained on {training.data_name}, masks from {training.masks}: epoch "
            f"{training.best_epoch} of {training.epochs}, {training.optimizer} at "
            f"{training.learning_rate:g}, batch {training.batch_size}, {training.loss}, "
            f"seed {training.seed}{', augmented' if training.augmented else ''}",
            f"  validation: {scores}",
        ]
    return "\n".join(printable(line) for line in lines)


def _layers(counts: "Counts") -> str:
    header = ["layer", "operator", "output", "parameters", "shared", "MACs, M", "weights, B",
              "output, B", "weights in", "reads", "computes in"]  # fmt: skip
    rows: list[list[object]] = [
        [_short(layer.name), _short(layer.operator), _shape(layer.output_shape), layer.parameters,
         layer.shared_parameters, _mega(layer), layer.weight_bytes, layer.activation_bytes,
         layer.weight_type, layer.activation_type, layer.arithmetic]
        for layer in counts.layers
    ]  # fmt: skip
    if not any(layer.shared_parameters for layer in counts.layers):
        del header[4]
        for row in rows:
            del row[4]
    return table(header, rows) if rows else "No layers."


def _mega(layer: "LayerCounts") -> float | None:
    return None if layer.macs is None else layer.macs / 1e6


def _totals(inspection: "Inspection") -> str:
    total = inspection.counts.total

    def bound(name: str) -> str:
        return _BOUND if name in total.lower_bounds else ""

    at = ", ".join(_value(value) for value in inspection.counted_at)
    lines = [
        f"In all, for {at}:",
        f"  {bound('parameters')}{total.parameters:,} parameters",
        f"  {bound('macs')}{total.macs:,} multiply-accumulates ({total.macs / 1e9:.3g} G)",
        f"  {bound('weight_bytes')}{total.weight_bytes:,} bytes of weights, "
        f"{total.constant_bytes:,} of other constants",
        f"  {bound('activation_bytes')}{total.activation_bytes:,} bytes of activations, what all "
        "nodes give together",
    ]
    if inspection.metadata is not None:
        trained = inspection.metadata.network.parameters
        lines.insert(2, f"    the trained network: {trained:,}{_why(trained, total.parameters)}")
    return "\n".join(lines)


def _why(trained: int, found: int) -> str:
    if found == trained:
        return ""
    if found < trained:
        return (
            "; fewer are left where batch normalization is folded into the convolutions before "
            "it, one bias a channel instead of a factor and an offset"
        )
    return "; more are stored where the exporter has written out a table that the network looks up"


def _precision(counts: "Counts") -> str:
    groups: dict[tuple[str, str, str], list[LayerCounts]] = {}
    for layer in counts.layers:
        types = (layer.weight_type or "-", layer.activation_type, layer.arithmetic)
        groups.setdefault(types, []).append(layer)
    rows = [
        (*types, len(layers), sum(layer.parameters for layer in layers),
         sum(layer.macs or 0 for layer in layers) / 1e6)
        for types, layers in groups.items()
    ]  # fmt: skip
    header = ("weights in", "reads", "computes in", "layers", "parameters", "MACs, M")
    return f"Precision:\n{table(header, rows)}" if rows else ""


def _operators(counts: "Counts") -> str:
    header = ("operator", "nodes", "layers", "constant", "quantized")
    rows = [
        (_short(entry.operator), entry.nodes, entry.layers, entry.constant, entry.quantized)
        for entry in counts.operators
    ]
    explained = (
        "Operators, how many of their nodes are layers, computed from constants alone, and read "
        "quantized values alone:"
    )
    return f"{explained}\n{table(header, rows)}" if rows else ""


def _uncounted(counts: "Counts") -> str:
    if not counts.uncounted:
        return ""
    lines = [
        f"  {_short(entry.name)} ({_short(entry.operator)}): {printable(entry.reason)}"
        for entry in counts.uncounted
    ]
    return "Not counted:\n" + "\n".join(lines)


def _certificate(metadata: "Metadata") -> str:
    from runtime.core.schema import to_dict

    if metadata.parity is None:
        return "No certificate."
    parts = [("Certificate", metadata.parity), ("Conversion", metadata.conversion)]
    return "\n\n".join(
        f"{title}:\n"
        + "\n".join(
            printable(f"  {name}: {_entry(value)}") for name, value in to_dict(part).items()
        )
        for title, part in parts
        if part is not None
    )


def _entry(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_entry(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_entry(entry) for entry in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
