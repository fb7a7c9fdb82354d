"""The figures of a study's report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.study.gallery import Case, Pictures
from bench.study.result import SplitResult
from bench.study.tables import LABELS
from runtime.metrics import CALIBRATION_BINS, STUDY_METRICS, THRESHOLD
from runtime.report.cells import short_name
from runtime.report.figures import COLORS, INK, new_figure
from runtime.scoring.comparison import soft_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SKIPPED_EPOCHS = 2
"""Left out of the loss's curves, as in the study: they would flatten the rest."""
_BINS = 25


def color_of(index: int) -> str:
    """Return the color of the network at `index` of the study's list."""
    return COLORS[index % len(COLORS)]


def curves_figure(split: SplitResult) -> Figure:
    """Draw loss, precision, recall and IoU of train and valid over the epochs, all networks."""
    figure = new_figure(11.0, 6.4)
    panels = figure.subplots(2, 2).flat
    for axes, name in zip(panels, ("loss", "precision", "recall", "iou"), strict=True):
        for index, network in enumerate(split.networks):
            if network.trained is None:
                continue
            rows = network.trained.history
            if name == "loss" and len(rows) > SKIPPED_EPOCHS + 1:
                rows = rows[SKIPPED_EPOCHS:]
            epochs = [row.epoch for row in rows]
            for part, line in (("train", ":"), ("valid", "-")):
                values = [getattr(row, f"{part}_{name}") for row in rows]
                label = f"{network.network}, {part}"
                axes.plot(epochs, values, line, color=color_of(index), label=label, linewidth=1.6)
        axes.set_title("loss" if name == "loss" else f"soft {LABELS[name]}")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0.0, top=None if name == "loss" else 1.0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    return figure


def histograms_figure(split: SplitResult) -> Figure:
    """Draw each soft metric's histogram over the test images, a row a network, its mean marked."""
    rows = len(split.networks)
    figure = new_figure(11.0, 2.0 * rows + 0.5)
    grid = figure.subplots(rows, len(STUDY_METRICS), squeeze=False, sharex="col", sharey="col")
    for row, network in enumerate(split.networks):
        for column, metric in enumerate(STUDY_METRICS):
            axes: Axes = grid[row, column]
            values = soft_values(network.evaluation, metric)
            values = values[~np.isnan(values)]
            low = 0.8 if metric == "accuracy" and values.min(initial=1.0) >= 0.8 else 0.0
            axes.hist(values, bins=_BINS, range=(low, 1.0), color=color_of(row), alpha=0.85)
            mean = network.means[metric]
            axes.axvline(mean.value, color=INK, linewidth=1.3)
            axes.axvspan(mean.low, mean.high, color=INK, alpha=0.18, linewidth=0)
            axes.set_xlim(low, 1.0)
            axes.set_title(f"{LABELS[metric]}, mean {mean.value:.3f}")
            if row == rows - 1:
                axes.set_xlabel(f"soft {LABELS[metric]} of an image")
        grid[row, 0].set_ylabel(f"{network.network}\nimages")
    return figure


def differences_figure(split: SplitResult) -> Figure:
    """Draw how the mean of each soft metric differs in each pair of networks, with intervals."""
    rows = [
        (LABELS[metric], e.comparison, e.comparison.find(metric).difference)
        for e in split.evidence
        for metric in STUDY_METRICS
    ]
    figure = new_figure(9.0, 0.28 * len(rows) + 1.0)
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    for place, (_, _, interval) in enumerate(rows):
        sure = interval.low > 0.0 or interval.high < 0.0
        shade = COLORS[0] if sure else COLORS[1]
        axes.plot([interval.low, interval.high], [place, place], color=shade, linewidth=2.2)
        axes.plot([interval.value], [place], "o", color=shade, markersize=5)
    names = [f"{label}: {pair.other} \N{MINUS SIGN} {pair.one}" for label, pair, _ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("difference of the mean over images, 95 % interval")
    return figure


def reliability_figure(split: SplitResult) -> Figure:
    """Draw the observed share of foreground over the probability, and the bins' pixels."""
    count = len(split.networks)
    figure = new_figure(max(2.75 * count, 5.6), 3.9)
    grid = figure.subplots(2, count, squeeze=False, sharex=True, sharey="row",
                           height_ratios=(3.0, 1.0))  # fmt: skip
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    for column, network in enumerate(split.networks):
        found = network.evaluation.calibration
        upper, lower = grid[0, column], grid[1, column]
        upper.plot([0.0, 1.0], [0.0, 1.0], color=INK, linewidth=1.0, linestyle="--")
        shade = color_of(column)
        upper.plot(found.bin_probability, found.bin_observed, "o-", color=shade, markersize=4)
        upper.set_title(f"{network.network}\nECE {found.ece:.4f}, Brier {found.brier:.4f}")
        upper.set_xlim(0.0, 1.0)
        upper.set_ylim(0.0, 1.0)
        lower.stairs(np.maximum(found.bin_pixels, 0.5), edges, fill=True, color=shade, alpha=0.85)
        lower.set_yscale("log")
        lower.set_xlabel("predicted probability")
    grid[0, 0].set_ylabel("observed share\nof foreground")
    grid[1, 0].set_ylabel("pixels")
    return figure


def cases_figure(
    metric: str, cases: Sequence[Case], pictures: dict[str, Pictures], networks: Sequence[str]
) -> Figure:
    """Draw the chosen scans of one metric: a row a scan, the mask's outline, each network's map."""
    chosen = [case for case in cases if case.metric == metric]
    columns = 1 + len(networks)
    figure = new_figure(2.3 * columns, 2.5 * len(chosen))
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for row, case in enumerate(chosen):
        shown = pictures[case.file]
        for column, axes in enumerate(grid[row]):
            axes.imshow(shown.scan)
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.contour(shown.mask, [0.5], colors="#40ff80", linewidths=1.0)
            if column == 0:
                axes.set_ylabel(f"{case.quartile} quartile")
                axes.set_title(short_name(case.file), fontsize=9)
                continue
            network = networks[column - 1]
            probability = shown.probability[network]
            axes.imshow(np.ones_like(probability), cmap="autumn", vmin=1.0, vmax=2.0,
                        alpha=0.75 * probability)  # fmt: skip
            if probability.min() < THRESHOLD <= probability.max():
                axes.contour(probability, [THRESHOLD], colors="#ffe040", linewidths=1.0)
            value = getattr(shown.scores[network], metric)
            axes.set_title(f"{network}: {LABELS[metric]} {value:.3f}", fontsize=9)
    return figure
