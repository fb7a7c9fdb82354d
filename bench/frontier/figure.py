"""The picture of a comparison: accuracy against each cost."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.frontier.dominance import find_standings
from bench.frontier.tables import short_names
from bench.measure.result import BenchResult, ModelResult
from runtime.report.figures import COLORS, PAPER, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cost = tuple[str, Callable[[ModelResult], float | None]]
"""What an axis is called, and how a cost is read; None where it was not measured."""

LATENCY: Cost = ("latency, median, ms", lambda m: m.latency_ms.p50 if m.latency_ms else None)
MEMORY: Cost = ("peak memory, MB", lambda m: _millions((m.memory_bytes or {}).get("peak")))
MACS: Cost = (
    "multiply-accumulates, G",
    lambda m: None if m.macs is None else m.macs / 1e9,
)
PARAMETERS: Cost = ("parameters, M", lambda m: _millions(m.parameters))
FILE: Cost = ("file, MB", lambda m: _millions(m.file_bytes))
IOU = "soft IoU, mean over images"
MARKERS = ("o", "s", "^", "D")
"""For when there are more points to tell apart than colors."""

_COSTS = (LATENCY, MEMORY, MACS, FILE)


def frontier_figure(result: BenchResult) -> Figure | None:
    """Draw soft IoU with its interval over each cost; what is dominated is hollow.

    None where no file has both an accuracy and a latency.
    """
    shown = [model for model in result.models if model.accuracy and model.latency_ms]
    if not shown:
        return None
    names, standings = short_names(result), find_standings(result)
    figure = new_figure(11.0, 7.0)
    grid = figure.subplots(2, 2, sharey=True)
    for axes, (label, read) in zip(grid.flat, _COSTS, strict=True):
        for index, model in enumerate(shown):
            standing = standings.get(model.path)
            hollow = standing is not None and bool(standing.dominated_by)
            _draw(axes, model, read(model), names[model.path].removesuffix(".onnx"), index, hollow)
        set_cost_axis(axes, label)
    for axes in grid[:, 0]:
        axes.set_ylabel(IOU)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 3))
    return figure


def set_cost_axis(axes: "Axes", label: str) -> None:
    """Make the horizontal axis one of a cost: logarithmic, unless all cost nearly the same."""
    low, high = axes.dataLim.intervalx
    if high > 3.0 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.1)
    axes.set_xlabel(label)


def _draw(
    axes: "Axes", model: ModelResult, cost: float | None, name: str, index: int, hollow: bool
) -> None:
    found = model.accuracy
    if cost is None or found is None:
        return
    color = COLORS[index % len(COLORS)]
    axes.plot([cost, cost], [found.iou_low, found.iou_high], color=color, linewidth=1.6)
    axes.plot([cost], [found.iou], MARKERS[index // len(COLORS) % len(MARKERS)], markersize=7,
              markeredgecolor=color, markerfacecolor=PAPER if hollow else color,
              linestyle="none", label=name)  # fmt: skip


def _millions(value: float | None) -> float | None:
    return None if value is None else value / 1e6
