"""Figures without Matplotlib's constrained layout, which takes longer than drawing them."""

import pytest
from matplotlib.figure import Figure


def leave_out_layout(patch: pytest.MonkeyPatch) -> None:
    """Let figures be drawn where their axes are placed at first."""
    patch.setattr("runtime.report.figures.Figure", lambda figsize, layout: Figure(figsize=figsize))
