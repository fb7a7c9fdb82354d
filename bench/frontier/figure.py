"""The figure of a comparison: soft IoU against each cost."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.frontier.dominance import find_dominators
from bench.frontier.tables import short_names
from bench.measure.result import BenchResult, ModelResult
from runtime.report.figures import COLORS, PAPER, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Cost(NamedTuple):
    """A cost that an axis shows.

    Attributes:
        label: name and unit.
        read: returns the cost of a file, or None if it was not measured.
    """

    label: str
    read: Callable[[ModelResult], float | None]


LATENCY = Cost("latency, median, ms", lambda m: m.latency_ms.p50 if m.latency_ms else None)
MEMORY = Cost("peak memory, MB", lambda m: _millions((m.memory_bytes or {}).get("peak")))
MACS = Cost("multiply-accumulates, G", lambda m: None if m.macs is None else m.macs / 1e9)
PARAMETERS = Cost("parameters, M", lambda m: _millions(m.parameters))
FILE = Cost("file, MB", lambda m: _millions(m.file_bytes))
MARKERS = ("o", "s", "^", "D")
"""Markers that tell points apart once the colors repeat."""

_IOU_SPAN = 0.01
_COSTS = (LATENCY, MEMORY, MACS, FILE)


def frontier_figure(result: BenchResult) -> Figure | None:
    """Return soft IoU with its interval over each cost; dominated files are hollow points.

    None if no file has both an accuracy and a latency.
    """
    shown = [model for model in result.models if model.accuracy and model.latency_ms]
    if not shown:
        return None
    names, dominators = short_names(result), find_dominators(result)
    figure = new_figure(11.0, 7.0)
    grid = figure.subplots(2, 2, sharey=True)
    for axes, cost in zip(grid.flat, _COSTS, strict=True):
        for index, model in enumerate(shown):
            hollow = bool(dominators.get(model.name))
            _draw(axes, model, cost.read(model), names[model.name], index, hollow)
        set_cost_axis(axes, cost.label)
    for axes in grid[:, 0]:
        set_iou_axis(axes)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 3))
    return figure


def set_cost_axis(axes: "Axes", label: str) -> None:
    """Label the horizontal axis, and make it logarithmic if costs differ more than threefold."""
    low, high = axes.dataLim.intervalx
    if high > 3.0 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.1)
    axes.set_xlabel(label)


def set_iou_axis(axes: "Axes") -> None:
    """Label the vertical axis. It spans at least 0.01: less would magnify rounding errors."""
    low, high = axes.dataLim.intervaly
    if high - low < _IOU_SPAN:
        middle = (low + high) / 2.0
        axes.set_ylim(middle - _IOU_SPAN / 2.0, middle + _IOU_SPAN / 2.0)
    axes.set_ylabel("soft IoU, mean over images")


def _draw(
    axes: "Axes", model: ModelResult, cost: float | None, name: str, index: int, hollow: bool
) -> None:
    accuracy = model.accuracy
    if cost is None or accuracy is None:
        return
    color = COLORS[index % len(COLORS)]
    axes.plot([cost, cost], [accuracy.iou_low, accuracy.iou_high], color=color, linewidth=1.6)
    axes.plot(
        [cost],
        [accuracy.iou],
        MARKERS[index // len(COLORS) % len(MARKERS)],
        markersize=7,
        markeredgecolor=color,
        markerfacecolor=PAPER if hollow else color,
        linestyle="none",
        label=name,
    )


def _millions(value: float | None) -> float | None:
    return None if value is None else value / 1e6
