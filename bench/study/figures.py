"""The figures of a report of a study."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.study.claims.curve_claims import SKIPPED_EPOCHS
from bench.study.examples import ExampleScan, Pictures
from bench.study.result import SplitResult
from bench.study.tables import LABELS
from runtime.metrics import STUDY_METRICS, THRESHOLD
from runtime.report.cells import short_name
from runtime.report.figures import COLORS, INK, new_figure
from runtime.scoring.calibration import CALIBRATION_BINS
from runtime.scoring.comparison import soft_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 25


def color_of(index: int) -> str:
    """Return the color of the network at `index` of the study's list."""
    return COLORS[index % len(COLORS)]


def curves_figure(split: SplitResult) -> Figure:
    """Draw the loss, and the metrics by both readings, over the epochs of every training."""
    rows = [row for n in split.networks for history in n.histories for row in history]
    # Earlier studies did not record the metrics at 0.5.
    at_half = any(not isnan(row.train_iou_at_half) for row in rows)
    readings = ("", "_at_half") if at_half else ("",)
    figure = new_figure(11.0, 3.2 * len(readings))
    grid = figure.subplots(len(readings), 4, squeeze=False)
    for line, reading in zip(grid, readings, strict=True):
        for axes, name in zip(line[1:], ("precision", "recall", "iou"), strict=True):
            title = f"{LABELS[name]} at 0.5" if reading else f"soft {LABELS[name]}"
            _draw_curves(axes, split, name + reading, title)
            axes.set_ylim(0.0, 1.0)
    loss, legend = grid[0, 0], grid[-1, 0]
    _draw_curves(loss, split, "loss", "loss")
    if at_half:
        legend.axis("off")
    many = "a line for each training" if len(split.networks[0].runs) > 1 else None
    place = "center" if at_half else "upper right"
    legend.legend(*loss.get_legend_handles_labels(), loc=place, title=many)
    return figure


def omits_epochs(split: SplitResult) -> bool:
    """Return whether a loss is drawn without its first epochs, whose values flatten the rest."""
    return any(_drawn_from(len(history)) for n in split.networks for history in n.histories)


def _drawn_from(epochs: int) -> int:
    """Return the position of the first epoch whose loss is drawn."""
    return SKIPPED_EPOCHS if epochs > SKIPPED_EPOCHS + 1 else 0


def _draw_curves(axes: "Axes", split: SplitResult, name: str, title: str) -> None:
    """Draw a value of the history over the epochs: a line for each network, part and training."""
    for index, network in enumerate(split.networks):
        for number, history in enumerate(network.histories):
            rows = history[_drawn_from(len(history)) :] if name == "loss" else history
            for part, line in (("train", ":"), ("valid", "-")):
                axes.plot(
                    [row.epoch for row in rows],
                    [getattr(row, f"{part}_{name}") for row in rows],
                    line,
                    color=color_of(index),
                    label=f"{network.network}, {part}" if number == 0 else None,
                    linewidth=1.6 if len(network.runs) == 1 else 0.9,
                )
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0.0)


def histograms_figure(split: SplitResult) -> Figure:
    """Draw the histogram of each soft metric over the test images, with its means, by network.

    Of several trainings, all images of all are counted, and a dot marks the mean of each.
    """
    rows = len(split.networks)
    figure = new_figure(11.0, 2.0 * rows + 0.5)
    grid = figure.subplots(rows, len(STUDY_METRICS), squeeze=False, sharex="col", sharey="col")
    for row, network in enumerate(split.networks):
        for column, metric in enumerate(STUDY_METRICS):
            axes: Axes = grid[row, column]
            runs = [soft_values(evaluation, metric) for evaluation in network.evaluations]
            runs = [run[~np.isnan(run)] for run in runs]
            values = np.concatenate(runs)
            low = 0.8 if metric == "accuracy" and values.min(initial=1.0) >= 0.8 else 0.0
            axes.hist(values, bins=_BINS, range=(low, 1.0), color=color_of(row), alpha=0.85)
            _draw_trainings(axes, [float(run.mean()) for run in runs if run.size], row)
            mean = network.means[metric]
            axes.axvline(mean.value, color=INK, linewidth=1.3)
            axes.axvspan(mean.low, mean.high, color=INK, alpha=0.18, linewidth=0)
            axes.set_xlim(low, 1.0)
            axes.set_title(f"{LABELS[metric]}, mean {mean.value:.3f}")
            if row == rows - 1:
                axes.set_xlabel(f"soft {LABELS[metric]} per image")
        grid[row, 0].set_ylabel(f"{_in_lines(network.network)}\nimages")
    return figure


def _in_lines(name: str, most: int = 18) -> str:
    """Return a network's name in lines that fit beside a row of a figure."""
    lines = [""]
    for part in re.split(r"(?<=[:_-])", name):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _draw_trainings(axes: "Axes", means: Sequence[float], index: int) -> None:
    """Mark the mean of each of several trainings at the upper edge."""
    if len(means) > 1:
        place = [0.97] * len(means)
        axes.plot(
            means,
            place,
            "o",
            transform=axes.get_xaxis_transform(),
            color=color_of(index),
            markeredgecolor=INK,
            markeredgewidth=0.6,
            markersize=4,
        )


def differences_figure(split: SplitResult) -> Figure:
    """Draw the difference of each mean soft metric for each pair of networks, with its interval.

    A small dot is a pair of trainings, of one seed.
    """
    rows = [
        (LABELS[metric], e.comparison, e.comparison.find(metric))
        for e in split.evidence
        for metric in STUDY_METRICS
    ]
    figure = new_figure(9.0, 0.28 * len(rows) + 1.0)
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    for place, (_, _, found) in enumerate(rows):
        interval = found.difference
        shade = COLORS[0] if interval.excludes_zero else COLORS[1]
        if len(found.by_training) > 1:
            level = [place + 0.3] * len(found.by_training)
            axes.plot(found.by_training, level, "o", color=shade, markersize=2.5)
        axes.plot([interval.low, interval.high], [place, place], color=shade, linewidth=2.2)
        axes.plot([interval.value], [place], "o", color=shade, markersize=5)
    names = [
        f"{label}: {pair.candidate} \N{MINUS SIGN} {pair.reference}" for label, pair, _ in rows
    ]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("difference of the mean per image, 95 % interval")
    return figure


_MOST_COLUMNS = 4
"""Diagrams side by side that are still readable."""


def reliability_figure(split: SplitResult) -> Figure:
    """Draw the observed share of foreground over the probability, and the pixels of each bin."""
    columns = min(len(split.networks), _MOST_COLUMNS)
    bands = -(-len(split.networks) // columns)
    figure = new_figure(max(2.75 * columns, 5.6), 3.9 * bands)
    ratios = (3.0, 1.0) * bands
    grid = figure.subplots(
        2 * bands, columns, squeeze=False, sharex=True, sharey="row", height_ratios=ratios
    )
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    for index, network in enumerate(split.networks):
        runs = [evaluation.calibration for evaluation in network.evaluations]
        band, column = divmod(index, columns)
        upper, lower = grid[2 * band, column], grid[2 * band + 1, column]
        upper.plot([0.0, 1.0], [0.0, 1.0], color=INK, linewidth=1.0, linestyle="--")
        shade = color_of(index)
        for run in runs:
            line = run.bin_probability, run.bin_observed
            upper.plot(*line, "o-", color=shade, markersize=4 if len(runs) == 1 else 2)
        ece, brier = fmean(run.ece for run in runs), fmean(run.brier for run in runs)
        upper.set_title(f"{_in_lines(network.network, 24)}\nECE {ece:.4f}, Brier {brier:.4f}")
        upper.set_xlim(0.0, 1.0)
        upper.set_ylim(0.0, 1.0)
        pixels = np.maximum(np.mean([run.bin_pixels for run in runs], axis=0), 0.5)
        lower.stairs(pixels, edges, fill=True, color=shade, alpha=0.85)
        lower.set_yscale("log")
        lower.set_xlabel("predicted probability")
        lower.tick_params(labelbottom=True)
    for band in range(bands):
        grid[2 * band, 0].set_ylabel("observed share\nof foreground")
        grid[2 * band + 1, 0].set_ylabel("pixels")
    for axes in grid.flat:
        axes.set_visible(axes.has_data())
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
