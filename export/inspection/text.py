"""The text that `seg-inspect` shows of a file."""

from collections.abc import Sequence

from export.inspection.counts import Counts, LayerCounts
from export.inspection.file import Inspection, ValueInfo
from runtime.cli.display import counted, table
from runtime.core.errors import printable
from runtime.core.schema import to_dict
from runtime.model.metadata import MemberInfo, Metadata

_LONGEST_NAME = 80


def inspection_text(inspection: Inspection) -> str:
    """Return everything in an inspection as text for a terminal.

    Text from the file is made printable, and its names are cut to 80 characters.
    """
    counts, metadata = inspection.counts, inspection.metadata
    parts = [
        _file(inspection),
        _networks(metadata) if metadata else "",
        _layers(counts.layers),
        _totals(inspection),
        _precision(counts.layers),
        _operators(counts),
        _uncounted(counts),
        _certificate(metadata) if metadata else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _file(inspection: Inspection) -> str:
    producer = _name(inspection.producer) or "an unnamed tool"
    lines = [
        f"{inspection.file}: {inspection.file_bytes / 1e6:.1f} MB, opset {inspection.opset}, "
        f"IR version {inspection.ir_version}, made by {producer}",
        f"  digest of graph and weights (SHA-256): {inspection.digest}",
        *(f"  input {_value(value)}" for value in inspection.inputs),
        *(f"  output {_value(value)}" for value in inspection.outputs),
    ]
    if inspection.metadata is not None:
        spec = inspection.metadata.input
        others = f"; other sizes in multiples of {spec.multiple}" if spec.multiple else " only"
        lines.append(f"  size {spec.height}x{spec.width}{others}")
        lines.append(f"  license: {_name(inspection.metadata.license or 'none stated')}")
    return "\n".join(lines)


def _name(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 3]}..."


def _value(value: ValueInfo) -> str:
    return f"'{_name(value.name)}' {value.type} {_shape(value.shape)}"


def _shape(shape: tuple[int | str | None, ...] | None) -> str:
    if shape is None:
        return "?"
    sides = ("?" if side is None else _name(str(side)) for side in shape)
    return f"[{', '.join(sides)}]"


def _networks(metadata: Metadata) -> str:
    lines = []
    members = metadata.members
    if members:
        lines.append(f"{metadata.name}: the mean of {counted(len(members), 'network')}")
    if metadata.conversion is not None:
        lines.append(f"{metadata.precision}: {metadata.conversion.method}")
    if metadata.training is not None:
        alone = MemberInfo(metadata.name, metadata.network, metadata.training, metadata.encoder)
        members = (alone,)
    for member in members:
        lines += _network(member)
    return "\n".join(printable(line) for line in lines)


def _network(member: MemberInfo) -> list[str]:
    network, training, encoder = member.network, member.training, member.encoder
    on = f", on {encoder.source}{' (frozen)' if encoder.frozen else ''}" if encoder else ""
    scores = ", ".join(f"{name} {value:.4f}" for name, value in training.validation.items())
    return [
        f"{member.name}: {network.arch} of width {network.width}{on}",
        f"  trained on {training.data_name}, masks from {training.masks}: epoch "
        f"{training.best_epoch} of {training.epochs}, {training.optimizer} at "
        f"{training.learning_rate:g}, batch {training.batch_size}, {training.loss}, "
        f"seed {training.seed}{', augmented' if training.augmented else ''}",
        f"  validation: {scores}",
    ]


def _layers(layers: Sequence[LayerCounts]) -> str:
    if not layers:
        return "No layers."
    columns: dict[str, list[object]] = {
        "layer": [_name(layer.name) for layer in layers],
        "operator": [_name(layer.operator) for layer in layers],
        "output": [_shape(layer.output_shape) for layer in layers],
        "parameters": [layer.parameters for layer in layers],
        "shared": [layer.shared_parameters for layer in layers],
        "MACs, M": [None if layer.macs is None else layer.macs / 1e6 for layer in layers],
        "weights, B": [layer.weight_bytes for layer in layers],
        "output, B": [layer.activation_bytes for layer in layers],
        "weights in": [layer.weight_type for layer in layers],
        "reads": [layer.activation_type for layer in layers],
        "computes in": [layer.arithmetic for layer in layers],
    }
    if not any(columns["shared"]):
        del columns["shared"]
    return table(list(columns), list(zip(*columns.values(), strict=True)))


def _totals(inspection: Inspection) -> str:
    total = inspection.counts.total

    def bound(name: str) -> str:
        return "at least " if name in total.lower_bounds else ""

    inputs = ", ".join(_value(value) for value in inspection.counted_at)
    trained = []
    if inspection.metadata is not None:
        number = inspection.metadata.network.parameters
        trained = [f"    the trained network: {number:,}{_why(number, total.parameters)}"]
    return "\n".join(
        [
            f"In total, for {inputs}:",
            f"  {bound('parameters')}{total.parameters:,} parameters",
            *trained,
            f"  {bound('macs')}{total.macs:,} multiply-accumulates ({total.macs / 1e9:.3g} G)",
            f"  {bound('weight_bytes')}{total.weight_bytes:,} bytes of weights, "
            f"{total.constant_bytes:,} of other constants",
            f"  {bound('activation_bytes')}{total.activation_bytes:,} bytes of activations, the "
            "outputs of all nodes together",
        ]
    )


def _why(trained: int, stored: int) -> str:
    """Return why a file stores more or fewer parameters than were trained."""
    if stored == trained:
        return ""
    if stored < trained:
        return (
            "; fewer are left because batch normalization is folded into the convolutions before "
            "it, as one bias per channel instead of a factor and an offset"
        )
    return "; more are stored because the exporter wrote out a table that the network looks up"


def _precision(layers: Sequence[LayerCounts]) -> str:
    groups: dict[tuple[str, str, str], list[LayerCounts]] = {}
    for layer in layers:
        types = (layer.weight_type or "-", layer.activation_type, layer.arithmetic)
        groups.setdefault(types, []).append(layer)
    rows = [
        (
            *types,
            len(group),
            sum(layer.parameters for layer in group),
            sum(layer.macs or 0 for layer in group) / 1e6,
        )
        for types, group in groups.items()
    ]
    header = ("weights in", "reads", "computes in", "layers", "parameters", "MACs, M")
    return f"Precision:\n{table(header, rows)}" if rows else ""


def _operators(counts: Counts) -> str:
    header = ("operator", "nodes", "layers", "constant", "quantized")
    rows = [
        (_name(entry.operator), entry.nodes, entry.layers, entry.constant, entry.quantized)
        for entry in counts.operators
    ]
    title = (
        "Operators, with the number of their nodes that are layers, that are computed from "
        "constants only, and that read quantized values only:"
    )
    return f"{title}\n{table(header, rows)}" if rows else ""


def _uncounted(counts: Counts) -> str:
    if not counts.uncounted:
        return ""
    lines = [
        f"  {_name(entry.name)} ({_name(entry.operator)}): {printable(entry.reason)}"
        for entry in counts.uncounted
    ]
    return "Not counted:\n" + "\n".join(lines)


def _certificate(metadata: Metadata) -> str:
    if metadata.parity is None:
        return "No certificate."
    sections = [_section("Certificate", metadata.parity)]
    if metadata.conversion is not None:
        sections.append(_section("Conversion", metadata.conversion))
    return "\n\n".join(sections)


def _section(title: str, part: object) -> str:
    lines = [printable(f"  {name}: {_field(value)}") for name, value in to_dict(part).items()]
    return "\n".join([f"{title}:", *lines])


def _field(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_field(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_field(entry) for entry in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
