"""The figure of a sweep: the accuracy of each width over its costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bench.frontier.figure import (
    LATENCY,
    MACS,
    MARKERS,
    MEMORY,
    PARAMETERS,
    Cost,
    set_cost_axis,
    set_iou_axis,
)
from bench.measure.accuracy import Accuracy
from bench.sweep.gains import lines
from bench.sweep.result import SweepNetwork, SweepResult
from bench.sweep.tables import size_text
from runtime.report.figures import COLORS, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = (LATENCY, MACS, PARAMETERS, MEMORY)


@dataclass(frozen=True, slots=True)
class _Point:
    cost: float
    accuracy: Accuracy
    label: str


@dataclass(frozen=True, slots=True)
class _Line:
    """The widths of one encoder at one input size, or a single given file."""

    name: str
    networks: Sequence[SweepNetwork]
    color: str
    marker: str
    labels_above: bool = False


def sweep_figure(result: SweepResult) -> Figure | None:
    """Return a figure of soft IoU with its interval over each cost, one line per encoder and size.

    Returns None if no file has both an accuracy and a latency.
    """
    drawn = _lines(result)
    if not any(_points(line, result, LATENCY) for line in drawn):
        return None
    figure = new_figure(11.0, 8.0)
    grid = figure.subplots(2, 2, sharey=True)
    for axes, cost in zip(grid.flat, _COSTS, strict=True):
        for line in drawn:
            _draw(axes, line, _points(line, result, cost))
        set_cost_axis(axes, cost.label)
    for axes in grid[:, 0]:
        set_iou_axis(axes)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 5))
    return figure


def _lines(result: SweepResult) -> list[_Line]:
    drawn = []
    for index, (arch, size, networks) in enumerate(lines(result.networks)):
        color = COLORS[index % len(COLORS)]
        marker = MARKERS[index // len(COLORS) % len(MARKERS)]
        # Labels alternate because the lines of one encoder often overlap.
        drawn.append(_Line(f"{arch}, {size_text(size)}", networks, color, marker, bool(index % 2)))
    for network in result.networks:
        if network.given:
            color = COLORS[len(drawn) % len(COLORS)]
            drawn.append(_Line(Path(network.path).stem, [network], color, "*"))
    return drawn


def _points(line: _Line, result: SweepResult, cost: Cost) -> list[_Point]:
    """Return the networks of a line whose cost and accuracy are known."""
    points = []
    for network in line.networks:
        model = result.measurement(network)
        value = cost.read(model)
        if value is not None and model.accuracy is not None:
            label = "" if network.given else str(network.width)
            points.append(_Point(value, model.accuracy, label))
    return points


def _draw(axes: "Axes", line: _Line, points: Sequence[_Point]) -> None:
    if not points:
        return
    costs = [point.cost for point in points]
    axes.plot(
        costs,
        [point.accuracy.iou for point in points],
        color=line.color,
        linewidth=1.4,
        marker=line.marker,
        markersize=10 if line.marker == "*" else 6,
        label=line.name,
    )
    for point in points:
        ends = [point.accuracy.iou_low, point.accuracy.iou_high]
        axes.plot([point.cost] * 2, ends, color=line.color, linewidth=1.0, alpha=0.6)
        axes.annotate(
            point.label,
            (point.cost, point.accuracy.iou),
            xytext=(5, 4 if line.labels_above else -4),
            textcoords="offset points",
            va="bottom" if line.labels_above else "top",
            fontsize=8,
            color=INK,
        )
