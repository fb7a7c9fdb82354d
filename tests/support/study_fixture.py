"""A whole study, as small as one can be."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from bench.study import figures
from bench.study.config import StudyConfig
from bench.study.prepare import Prepared
from bench.study.report import write_study_report
from bench.study.result import StudyResult
from bench.study.run import run_study
from runtime.core.progress import Progress
from runtime.report.figures import new_figure
from runtime.report.page import figure_png
from tests.support.quick_conversion import Convert
from tests.support.without_layout import leave_out_layout


@dataclass(frozen=True)
class Finished:
    """A study, and what it was made from."""

    config: StudyConfig
    folder: Path
    cache: Path
    result: StudyResult
    prepared: Prepared
    steps: list[Progress]


SMALL = {"width": 4, "size": 32, "epochs": 2, "batch_size": 4}


def _first_alone() -> Callable[..., Figure]:
    """Draw the first figure of examples, and nothing in the others."""
    draw, metrics = figures._examples_figure, []

    def figure(metric: str, *scans: Any) -> Figure:
        metrics.append(metric)
        return draw(metric, *scans) if len(metrics) == 1 else new_figure(1.0, 1.0)

    return figure


def _figure_png(figure: Figure, dpi: int, **options: Any) -> bytes:
    """Draw what the page does not draw too: examples, which have few colors."""
    return figure_png(figure if options else new_figure(1.0, 1.0), dpi, **options)


def make_study(phantom: Path, folder: Path, convert: Convert) -> Finished:
    """Compare two networks and their ensemble, with two seeds on both splits; write the report."""
    config = StudyConfig(
        data=str(phantom),
        preset="demo",
        networks=("scratch", "scratch-augment-dice", "ensemble"),
        changes=SMALL,
        seeds=2,
        threads=1,
    )
    steps: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        # What takes longer than all the rest: conversions, curves of single runs, the layout of
        # figures, all figures of examples but one, and others a second time for the text. Half the
        # examples, and few of the inputs that each export is checked with.
        patch.setattr("export.pipeline.convert", convert)
        patch.setattr("train.resumable_run.draw_curves", lambda *_: None)
        patch.setattr("bench.study.examples.EXAMPLES", 1)
        patch.setattr("export.parity.REAL_IMAGES", 1)
        patch.setattr("export.golden_pair._SCANS", 1)
        leave_out_layout(patch)
        patch.setattr("bench.study.figures._examples_figure", _first_alone())
        patch.setattr("bench.study.report.figure_png", _figure_png)
        result, prepared = run_study(
            config,
            folder / "out",
            cache=folder / "cache",
            command="seg-study",
            on_progress=steps.append,
        )
        write_study_report(result, prepared, folder / "out")
    return Finished(config, folder / "out", folder / "cache", result, prepared, steps)
