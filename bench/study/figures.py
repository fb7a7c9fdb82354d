"""The figures of a report of a study."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.study.examples import ExampleScan, Pictures
from bench.study.result import SplitResult
from bench.study.tables import LABELS
from runtime.metrics import CALIBRATION_BINS, STUDY_METRICS, THRESHOLD
from runtime.report.cells import short_name
from runtime.report.figures import COLORS, INK, new_figure
from runtime.scoring.comparison import soft_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SKIPPED_EPOCHS = 2
"""First epochs that the curves of the loss omit, as in the study: they would flatten the rest."""
_BINS = 25


def color_of(index: int) -> str:
    """Return the color of the network at `index` of the study's list."""
    return COLORS[index % len(COLORS)]


def curves_figure(split: SplitResult) -> Figure:
    """Draw the training and validation curves of all networks: loss, precision, recall and IoU."""
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
    """Draw the histogram of each soft metric over the test images, with its mean, by network."""
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
                axes.set_xlabel(f"soft {LABELS[metric]} per image")
        grid[row, 0].set_ylabel(f"{network.network}\nimages")
    return figure


def differences_figure(split: SplitResult) -> Figure:
    """Draw the difference of each mean soft metric for each pair of networks, with its interval."""
    rows = [
        (LABELS[metric], e.comparison, e.comparison.find(metric).difference)
        for e in split.evidence
        for metric in STUDY_METRICS
    ]
    figure = new_figure(9.0, 0.28 * len(rows) + 1.0)
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    for place, (_, _, interval) in enumerate(rows):
        shade = COLORS[0] if interval.excludes_zero else COLORS[1]
        axes.plot([interval.low, interval.high], [place, place], color=shade, linewidth=2.2)
        axes.plot([interval.value], [place], "o", color=shade, markersize=5)
    names = [
        f"{label}: {pair.candidate} \N{MINUS SIGN} {pair.reference}" for label, pair, _ in rows
    ]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("difference of the mean per image, 95 % interval")
    return figure


def reliability_figure(split: SplitResult) -> Figure:
    """Draw the observed share of foreground over the probability, and the pixels of each bin."""
    count = len(split.networks)
    figure = new_figure(max(2.75 * count, 5.6), 3.9)
    ratios = (3.0, 1.0)
    grid = figure.subplots(2, count, squeeze=False, sharex=True, sharey="row", height_ratios=ratios)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    for column, network in enumerate(split.networks):
        calibration = network.evaluation.calibration
        upper, lower = grid[0, column], grid[1, column]
        upper.plot([0.0, 1.0], [0.0, 1.0], color=INK, linewidth=1.0, linestyle="--")
        shade = color_of(column)
        line = calibration.bin_probability, calibration.bin_observed
        upper.plot(*line, "o-", color=shade, markersize=4)
        upper.set_title(
            f"{network.network}\nECE {calibration.ece:.4f}, Brier {calibration.brier:.4f}"
        )
        upper.set_xlim(0.0, 1.0)
        upper.set_ylim(0.0, 1.0)
        pixels = np.maximum(calibration.bin_pixels, 0.5)
        lower.stairs(pixels, edges, fill=True, color=shade, alpha=0.85)
        lower.set_yscale("log")
        lower.set_xlabel("predicted probability")
    grid[0, 0].set_ylabel("observed share\nof foreground")
    grid[1, 0].set_ylabel("pixels")
    return figure


def examples_figures(
    examples: Sequence[ExampleScan], pictures: Mapping[str, Pictures], networks: Sequence[str]
) -> dict[str, Figure]:
    """Draw the example scans of each metric that has some.

    Without foreground in the test split, only accuracy has.
    """
    metrics = dict.fromkeys(example.metric for example in examples)
    return {metric: _examples_figure(metric, examples, pictures, networks) for metric in metrics}


def _examples_figure(
    metric: str,
    examples: Sequence[ExampleScan],
    pictures: Mapping[str, Pictures],
    networks: Sequence[str],
) -> Figure:
    """Draw the example scans of one metric: a row per scan, with the annotation and each map."""
    chosen = [example for example in examples if example.metric == metric]
    columns = 1 + len(networks)
    figure = new_figure(2.3 * columns, 2.5 * len(chosen))
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for row, example in enumerate(chosen):
        shown = pictures[example.file]
        for axes in grid[row]:
            _draw_scan(axes, shown)
        grid[row, 0].set_ylabel(f"{example.quartile} quartile")
        grid[row, 0].set_title(short_name(example.file), fontsize=9)
        for axes, network in zip(grid[row, 1:], networks, strict=True):
            _draw_map(axes, shown.probability[network])
            value = getattr(shown.scores[network], metric)
            axes.set_title(f"{network}: {LABELS[metric]} {value:.3f}", fontsize=9)
    return figure


def _draw_scan(axes: "Axes", shown: Pictures) -> None:
    axes.imshow(shown.scan)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    if shown.mask.min() < shown.mask.max():  # else there is no outline, and matplotlib warns
        axes.contour(shown.mask, [0.5], colors="#40ff80", linewidths=1.0)


def _draw_map(axes: "Axes", probability: NDArray[np.float32]) -> None:
    ones = np.ones_like(probability)
    axes.imshow(ones, cmap="autumn", vmin=1.0, vmax=2.0, alpha=0.75 * probability)
    if probability.min() < THRESHOLD <= probability.max():
        axes.contour(probability, [THRESHOLD], colors="#ffe040", linewidths=1.0)
