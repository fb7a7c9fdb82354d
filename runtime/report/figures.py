"""One style for all figures; as SVG, they follow the page's light or dark color scheme."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK = "#1c2126"
"""Text and axes."""
RULE = "#d5dadf"
"""Grid lines."""
PAPER = "#fdfdfc"
"""The background, the page's own."""
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Distinguishable for color-blind readers, too (Okabe, Ito 2008)."""

_DARK = {INK: "#e3e6e8", RULE: "#3b4147", PAPER: "#15181b", COLORS[0]: "#2b8ccf"}

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "seg-toolkit",
    "svg.fonttype": "path",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style to figures that are made and drawn in the block."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float = 11.0, height: float = 3.0, margin: float = 0.0) -> Figure:
    """Return an empty figure, `width` by `height` inches; call it, and draw, within `style`.

    Args:
        margin: empty share of the height at the top and at the bottom.
    """
    layout = ConstrainedLayoutEngine(rect=(0.0, margin, 1.0, 1.0 - 2.0 * margin))
    return Figure(figsize=(width, height), layout=layout)


def svg(figure: Figure) -> str:
    """Return a figure as SVG that follows a dark color scheme; equal figures give equal text."""
    stream = io.StringIO()
    with mpl.rc_context({key: _STYLE[key] for key in ("svg.hashsalt", "svg.fonttype")}):
        _save(
            figure,
            stream,
            format="svg",
            facecolor="none",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    rules = "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark} !important}}'
        for light, dark in _DARK.items()
        for part in ("fill", "stroke")
    )
    end_of_tag = text.index(">") + 1
    scheme = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return text[:end_of_tag] + scheme + text[end_of_tag:]


def png(figure: Figure, dpi: int) -> bytes:
    """Return a figure as a PNG file on white; equal figures give equal bytes."""
    stream = io.BytesIO()
    _save(figure, stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def _save(figure: Figure, stream: io.StringIO | io.BytesIO, **settings: Any) -> None:
    with warnings.catch_warnings():
        # A name in a script that the font lacks appears as boxes, which is not an error.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _lay_out(figure, settings["format"], settings.get("dpi", figure.dpi))
        figure.savefig(stream, **settings)


def _lay_out(figure: Figure, file_format: str, dpi: float) -> None:
    """Place the axes once, as `savefig` does for each format after drawing everything for it."""
    engine = figure.get_layout_engine()
    if engine is None or not figure.axes:
        return
    (FigureCanvasSVG if file_format == "svg" else FigureCanvasAgg)(figure)  # measures the texts
    before, figure.dpi = figure.dpi, dpi
    engine.execute(figure)
    figure.dpi = before
    figure.set_layout_engine(None)
