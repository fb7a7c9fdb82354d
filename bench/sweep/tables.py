"""What a sweep found, as a table and in sentences, for the terminal, the Markdown and the page."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from bench.frontier.dominance import find_dominators
from bench.frontier.tables import iou_cell, pareto_text, scaled, short_names
from bench.sweep.result import Gain, SweepNetwork, SweepResult
from runtime.report.cells import DASH, Cell, Table, decimals
from runtime.scoring.bootstrap import Interval


def sweep_table(result: SweepResult) -> Table:
    """Return what each network costs and scores, and what it scores beside the largest."""
    header = ("network", "input", "parameters, M", "GMACs", "p50, ms",
              "peak memory, MB", "file, MB", "soft IoU (95 % interval)", "minus the largest's",
              "Pareto")  # fmt: skip
    dominators = find_dominators(result.measured)
    names = {
        path: Path(name).stem.removeprefix("unet-")
        for path, name in short_names(result.measured).items()
    }
    rows: list[list[object]] = []
    for network in result.networks:
        model = result.figures(network)
        rows.append(
            [
                names[network.path] + (" (given)" if network.taken else ""),
                by(model.size),
                scaled(model.parameters, 1e6, 3),
                scaled(model.macs, 1e9, 3),
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
    """Return what the next width buys, a sentence for each encoder and input size."""
    lines = groupby(result.gains, lambda gain: (gain.arch, gain.size))
    return [
        f"{arch} at {by(size)}: " + "; ".join(_step(gain) for gain in gains) + "."
        for (arch, size), gains in lines
    ]


def by(size: Sequence[int] | None) -> str:
    """Write (height, width)."""
    return "x".join(map(str, size)) if size else DASH


def _step(gain: Gain) -> str:
    found = gain.iou
    start = f"width {gain.width} to {gain.next_width} "
    if math.isnan(found.value):
        return start + "was not measured"
    number = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    if found.low > 0.0:
        bought = f"gains {number} soft IoU"
    elif found.high < 0.0:
        bought = f"loses soft IoU ({number})"
    else:
        bought = f"gains no soft IoU that these images can tell ({number})"
    return start + bought + _price(gain.latency)


def _price(latency: Interval) -> str:
    if math.isnan(latency.value):
        return ""
    factor = f"{latency.value:.2f} [{latency.low:.2f}, {latency.high:.2f}]"
    unsure = not (latency.low > 1.0 or latency.high < 1.0)
    return f" for {factor} times the latency" + (" (not told from 1)" if unsure else "")


def _to_largest(result: SweepResult, network: SweepNetwork) -> Cell:
    if network.path == result.largest:
        return Cell("the largest")
    found = result.to_largest.get(network.path)
    if found is None or math.isnan(found.value):
        return Cell(DASH)
    return Cell(f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", found.value)
