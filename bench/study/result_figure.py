"""The picture of a study's main result: the IoU of every network beside the best baseline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bench.study.ranking import Ranked, Score, rank
from bench.study.result import StudyResult
from runtime.report.figures import COLORS, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READINGS = (("soft IoU", "iou"), ("IoU at 0.5", "iou_at_half"))
_BASELINE = "copy of the\nnearest training mask"


def result_figure(result: StudyResult) -> Figure:
    """Draw the IoU on each split by both readings, with 95 % intervals.

    A small dot is a training. Of the baselines, the best on each split is drawn.
    """
    rows = {split.kind: _shown(rank(split), result.config.networks) for split in result.splits}
    heights = [len(each) for each in rows.values()]
    figure = new_figure(9.0, 0.42 * sum(heights) + 0.75 * len(rows) + 0.35)
    grid = figure.subplots(
        len(rows), 2, squeeze=False, sharex=True, sharey="row", height_ratios=heights
    )
    for line, (kind, ranked) in zip(grid, rows.items(), strict=True):
        for axes, (title, name) in zip(line, READINGS, strict=True):
            for place, row in enumerate(ranked):
                shade = INK if row.baseline else COLORS[place % len(COLORS)]
                _draw(axes, getattr(row, name), place, shade, "D" if row.baseline else "o")
            axes.set_title(f"{_title(result, kind)}, {title}", loc="left", fontsize=9.5)
            axes.set_ylim(len(ranked) - 0.5, -0.5)
            axes.set_xlim(0.0, 1.0)
            axes.grid(visible=False, axis="y")
        line[0].set_yticks(range(len(ranked)), [_name(row) for row in ranked])
    for axes in grid[-1]:
        axes.set_xlabel("mean over test images, 95 % interval")
    return figure


def _title(result: StudyResult, kind: str) -> str:
    """Return the title of a split: only stated patients can be known to be new ones."""
    if kind == "original":
        return "Original split"
    known = result.audit.knows_every_patient
    return f"Grouped split: {'new patients' if known else 'no similar images'}"


def _shown(ranked: Sequence[Ranked], networks: Sequence[str]) -> list[Ranked]:
    """Return the networks in the study's order, then the best baseline."""
    by_name = {row.name: row for row in ranked if not row.baseline}
    best = next(row for row in ranked if row.baseline)
    return [*(by_name[name] for name in networks), best]


def _name(row: Ranked) -> str:
    if row.name == "nearest training image":
        return _BASELINE
    return row.title


def _draw(axes: "Axes", score: Score, place: int, shade: str, marker: str) -> None:
    mean = score.mean
    axes.plot([mean.low, mean.high], [place, place], color=shade, linewidth=2.4)
    axes.plot([mean.value], [place], marker, color=shade, markersize=6.5)
    if len(score.by_training) > 1:
        level = [place + 0.28] * len(score.by_training)
        axes.plot(score.by_training, level, "o", color=shade, markersize=2.8)
    end = mean.high if mean.high == mean.high else mean.value
    axes.annotate(
        f"{mean.value:.2f}",
        (end, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=INK,
    )
