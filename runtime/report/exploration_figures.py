"""The figures of an exploration: the splits side by side, on the same scales."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from runtime.report.exploration import PIXEL_BINS, Exploration
from runtime.report.figures import COLORS, INK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 12.0
_IN_A_ROW = 4
_BINS = 32
_TICKS = 6
_AXES = {
    "gray": ("mean pixel value", "images", 0),
    "share": ("box / image (log scale)", "boxes", 10),
    "aspect": ("width / height (log scale)", "boxes", 2),
}
"""By quantity: its axis label, the counted objects, and the base of its logarithmic scale or 0."""


def exploration_figures(exploration: Exploration) -> dict[str, Figure]:
    """Return the figures by name: pixels, gray, share, aspect and centers."""
    with style():
        figures = {name: _distribution_figure(exploration, name) for name in _AXES}
        return {
            "pixels": _pixel_figure(exploration),
            **figures,
            "centers": _center_figure(exploration),
        }


def _panels(
    count: int, height: float, *, room: int = 1, margin: float = 0.0, **shared: Any
) -> tuple[Figure, "list[Axes]"]:
    """Return a figure of `count` panels, four in a row, each `height` inches high.

    Fewer panels than `room` are at the left of a row of so many. `margin` is as in `new_figure`.
    """
    columns = min(max(count, room), _IN_A_ROW)
    rows = math.ceil(count / columns)
    figure = new_figure(_WIDTH, height * rows, margin)
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    for spare in grid.flat[count:]:
        spare.remove()
    return figure, list(grid.flat[:count])


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


def _plain(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _title(axes: "Axes", name: str, number: int, of: str) -> None:
    # A folder may have any name, even "$x$".
    axes.set_title(f"{_plain(name)}, {number:,} {of}").set_parse_math(False)


def _legend(axes: "Axes", place: Literal["upper left", "lower left"]) -> None:
    if axes.get_legend_handles_labels()[0]:
        for text in axes.legend(loc=place).get_texts():
            text.set_parse_math(False)


def _percent(value: float, _position: int | None = None) -> str:
    return f"{100.0 * value:.6g} %"


def _pixel_figure(exploration: Exploration) -> Figure:
    splits = exploration.splits
    figure, panels = _panels(len(splits) + 1, 2.8, sharex=True, sharey=True)
    edges = np.linspace(0.0, 1.0, PIXEL_BINS + 1)
    for index, (axes, split) in enumerate(zip(panels, splits, strict=False)):
        shares = np.asarray(split.pixel_shares)
        axes.stairs(shares, edges, fill=True, color=_color(index))
        panels[-1].stairs(
            shares, edges, color=_color(index), linewidth=1.3, label=_plain(split.name)
        )
        _title(axes, split.name, split.images, "images")
    for axes in panels:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0.0, 1.0)
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "", "0.5", "", "1"])
        axes.set_xlabel("pixel value")
    panels[0].set_ylabel("share of pixels (log scale)")
    panels[-1].set_title("all")
    _legend(panels[-1], "lower left")
    return figure


def _distribution_figure(exploration: Exploration, quantity: str) -> Figure:
    """Draw each split's histogram, and the splits' distribution functions in one panel."""
    label, having, base = _AXES[quantity]
    splits = exploration.splits
    figure, panels = _panels(len(splits) + 1, 2.8, sharex=True)
    edges = _edges([value for s in splits for value in s.values(quantity)], base)
    *singles, together = panels
    highest = 1e-9
    for index, (axes, split) in enumerate(zip(singles, splits, strict=True)):
        values = split.values(quantity)
        counts, _ = np.histogram(values, edges)
        shares = counts / max(len(values), 1)
        highest = max(highest, float(shares.max()))
        axes.stairs(shares, edges, fill=True, color=_color(index))
        if values:
            axes.axvline(float(np.median(values)), color=INK, linewidth=1.2)
            together.ecdf(values, color=_color(index), label=_plain(split.name))
        _title(axes, split.name, len(values), having)
    for axes in panels:
        axes.set_ylim(0.0, 1.0 if axes is together else 1.08 * highest)
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(label)
        if base:
            ticks = _log_ticks(edges[0], edges[-1], base)
            _set_log_ticks(axes, ticks, _percent if quantity == "share" else "{:g}".format)
    panels[0].set_ylabel(f"share of {having}")
    together.set_title("all, cumulative")
    _legend(together, "upper left")
    return figure


def _set_log_ticks(axes: "Axes", ticks: list[float], text: Callable[[float], str]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels=[text(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _edges(values: Sequence[float], base: int) -> NDArray[np.float64]:
    """Return the edges of bins that hold all values, float64 [33]."""
    array = np.asarray(values or [1.0], np.float64)
    scaled = np.log(array) if base else array
    low, high = float(scaled.min()), float(scaled.max())
    narrowest = 1.0 if base else 0.1  # nearly equal values should look equal
    if high - low < narrowest:
        middle = (low + high) / 2
        low, high = middle - narrowest / 2, middle + narrowest / 2
    margin = 1e-9 * (high - low)  # rounding must not exclude the largest value
    edges: NDArray[np.float64] = np.linspace(low - margin, high + margin, _BINS + 1)
    return np.exp(edges) if base else edges


def _log_ticks(low: float, high: float, base: int) -> list[float]:
    """Return a few round numbers between `low` and `high`: powers of the base, or 1, 2, 5 of 10."""
    factors = (1.0, 2.0, 5.0) if base == 10 and high / low < 300.0 else (1.0,)
    first, last = (math.floor(math.log(edge, base)) for edge in (low, high))
    ticks = [f * float(base) ** power for power in range(first, last + 1) for f in factors]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside[:: math.ceil(len(inside) / _TICKS)] if inside else []


def _center_figure(exploration: Exploration) -> Figure:
    splits = exploration.splits
    # Three squares fill the width; one would be drawn in its middle.
    # Without a margin, titles above squares get too little room.
    figure, panels = _panels(len(splits), 4.0, room=3, margin=0.02, sharex=True, sharey=True)
    shares = [np.asarray(s.centers, np.float64) / max(s.boxes, 1) for s in splits]
    highest = max(1e-9, *(float(share.max()) for share in shares))
    for axes, split, share in zip(panels, splits, shares, strict=True):
        picture = axes.imshow(
            share,
            norm=PowerNorm(0.5, 0.0, highest),
            cmap="magma",
            extent=(0.0, 1.0, 1.0, 0.0),
            interpolation="none",
        )
        axes.grid(visible=False)
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "", "0.5", "", "1"])
        axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "", "0.5", "", "1"])
        axes.set_xlabel("left to right")
        _title(axes, split.name, split.boxes, "boxes")
    panels[0].set_ylabel("top to bottom")
    bar = figure.colorbar(picture, ax=panels, shrink=0.8, label="share of the split's boxes")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    return figure
