"""Reports as pages that open from disk: what the extra `report` adds to the runtime."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazily

if TYPE_CHECKING:
    from runtime.report.cells import Cell, markdown_table
    from runtime.report.exploration import Exploration, SplitExploration, explore
    from runtime.report.exploration_page import exploration_context, exploration_html
    from runtime.report.outliers import Fences, Outlier
    from runtime.report.page import figure_png, figure_uri, picture_uri, render
    from runtime.report.two_sample import TwoSampleTest

__all__ = [
    "Cell",
    "Exploration",
    "Fences",
    "Outlier",
    "SplitExploration",
    "TwoSampleTest",
    "exploration_context",
    "exploration_html",
    "explore",
    "figure_png",
    "figure_uri",
    "markdown_table",
    "picture_uri",
    "render",
]

__getattr__ = lazily(
    __name__,
    {
        "runtime.report.cells": ("Cell", "markdown_table"),
        "runtime.report.exploration": ("Exploration", "SplitExploration", "explore"),
        "runtime.report.exploration_page": ("exploration_context", "exploration_html"),
        "runtime.report.outliers": ("Fences", "Outlier"),
        "runtime.report.page": ("figure_png", "figure_uri", "picture_uri", "render"),
        "runtime.report.two_sample": ("TwoSampleTest",),
    },
)
