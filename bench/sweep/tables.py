"""The table and the sentences of a sweep, for every report that shows them."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from bench.frontier.dominance import find_dominators
from bench.frontier.tables import iou_cell, pareto_text, scaled, short_names
from bench.sweep.result import Gain, SweepNetwork, SweepResult
from runtime.report.cells import DASH, Cell, Table, decimals, gmacs
from runtime.scoring.intervals import Interval


def sweep_table(result: SweepResult) -> Table:
    """Return the costs and scores of each network, and its difference from the largest."""
    header = (
        *("network", "input", "parameters, M", "GMACs", "p50, ms", "peak memory, MB", "file, MB"),
        *("soft IoU (95 % interval)", "minus the largest", "Pareto"),
    )
    dominators = find_dominators(result.measured)
    names = {
        path: Path(name).stem.removeprefix("unet-")
        for path, name in short_names(result.measured).items()
    }
    rows: list[list[object]] = []
    for network in result.networks:
        model = result.measurement(network)
        rows.append(
            [
                names[network.path] + (" (given)" if network.given else ""),
                size_text(model.size),
                scaled(model.parameters, 1e6, 3),
                gmacs(model.macs),
                decimals(None if model.latency_ms is None else model.latency_ms.p50, 2),
                scaled((model.memory_bytes or {}).get("peak"), 1e6, 0),
                scaled(model.file_bytes, 1e6, 2),
                iou_cell(model),
                _to_largest(result, network),
                pareto_text(dominators.get(network.path), names),
            ]
        )
    return header, rows


def sentences(result: SweepResult) -> list[str]:
    """Return the gain and the cost of each next width: a sentence per encoder and input size."""
    lines = groupby(result.gains, lambda gain: (gain.arch, gain.size))
    return [
        f"{arch} at {size_text(size)}: " + "; ".join(_step(gain) for gain in gains) + "."
        for (arch, size), gains in lines
    ]


def size_text(size: Sequence[int] | None) -> str:
    """Return (height, width) as text, or a dash if it is unknown.

    Example:
        >>> size_text((64, 128))
        '64x128'
    """
    return "x".join(map(str, size)) if size else DASH


def _step(gain: Gain) -> str:
    iou, latency = gain.iou, gain.latency
    text = f"width {gain.width} to {gain.next_width} "
    if iou.withheld is not None:
        return f"{text}has no stated difference, as {iou.withheld}"
    if math.isnan(iou.value):
        return text + "was not measured"
    text += f"changes soft IoU by {iou.value:+.3f} [{iou.low:+.3f}, {iou.high:+.3f}]"
    text += _significance(iou, 0.0)
    if not math.isnan(latency.value):
        factor = f"{latency.value:.2f} [{latency.low:.2f}, {latency.high:.2f}]"
        text += f" at {factor} times the latency" + _significance(latency, 1.0)
    return text


def _significance(interval: Interval, neutral: float) -> str:
    return " (not significant)" if interval.low <= neutral <= interval.high else ""


def _to_largest(result: SweepResult, network: SweepNetwork) -> Cell:
    if network.path == result.largest:
        return Cell("the largest")
    difference = result.to_largest.get(network.path)
    if difference is None or math.isnan(difference.value):
        return Cell(DASH)
    text = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    return Cell(text, difference.value)
