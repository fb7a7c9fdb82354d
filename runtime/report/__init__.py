"""Reports as HTML pages that open from disk; needs the extra `report`."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

if TYPE_CHECKING:
    from runtime.report.cells import Cell as Cell, markdown_table as markdown_table
    from runtime.report.exploration import (
        Exploration as Exploration,
        SplitExploration as SplitExploration,
        explore as explore,
    )
    from runtime.report.exploration_page import (
        exploration_context as exploration_context,
        exploration_html as exploration_html,
    )
    from runtime.report.outliers import Fences as Fences, Outlier as Outlier
    from runtime.report.page import (
        figure_png as figure_png,
        figure_uri as figure_uri,
        picture_uri as picture_uri,
        render as render,
    )
    from runtime.report.two_sample import TwoSampleTest as TwoSampleTest

__getattr__, __dir__ = lazy_imports(__name__)
