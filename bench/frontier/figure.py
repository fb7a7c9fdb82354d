"""The picture of a comparison: accuracy against each cost."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.frontier.dominance import find_standings
from bench.frontier.tables import short_names
from bench.measure.result import BenchResult, ModelResult
from runtime.report.figures import COLOURS, INK, PAPER, new_figure

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
        costs = [cost for model in shown if (cost := read(model)) is not None]
        for index, model in enumerate(shown):
            cost = read(model)
            if cost is not None:
                standing = standings.get(model.path)
                hollow = standing is not None and bool(standing.dominated_by)
                _draw(axes, model, cost, COLOURS[index % len(COLOURS)], hollow)
                on_the_right = cost**2 > min(costs) * max(costs)
                _label(axes, model, cost, names[model.path], to_the_left=on_the_right)
        set_cost_axis(axes, label)
    for axes in grid[:, 0]:
        axes.set_ylabel(IOU)
    return figure


def set_cost_axis(axes: "Axes", label: str) -> None:
    """Make the horizontal axis one of a cost."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)
    axes.set_xlabel(label)


def _draw(axes: "Axes", model: ModelResult, cost: float, colour: str, hollow: bool) -> None:
    found = model.accuracy
    assert found is not None
    axes.plot([cost, cost], [found.iou_low, found.iou_high], color=colour, linewidth=1.6)
    axes.plot([cost], [found.iou], "o", markersize=7, markeredgecolor=colour,
              markerfacecolor=PAPER if hollow else colour)  # fmt: skip


def _label(axes: "Axes", model: ModelResult, cost: float, name: str, *, to_the_left: bool) -> None:
    assert model.accuracy is not None
    axes.annotate(
        name.removesuffix(".onnx"),
        (cost, model.accuracy.iou),
        xytext=(-7 if to_the_left else 7, 0),
        textcoords="offset points",
        ha="right" if to_the_left else "left",
        va="center",
        fontsize=8,
        color=INK,
    )


def _millions(value: float | None) -> float | None:
    return None if value is None else value / 1e6
