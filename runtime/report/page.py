"""Self-contained HTML pages from templates: they open from disk and need no network.

A template extends `base.html` and uses the macros of `parts.html`. Pictures are data URIs, style
and scripts are part of the page, and a Content-Security-Policy forbids everything else.
"""

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from runtime.core.files import write_bytes
from runtime.report.cells import as_cell, as_table, decimals, markdown_table, p_value, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCRIPTS = ("page.js",)


def render(
    template: str,
    context: Mapping[str, object],
    *,
    loader: BaseLoader | None = None,
    scripts: tuple[str, ...] = (),
) -> str:
    """Return a page, rendered from a template.

    Values are escaped, except in templates whose name ends in `.md`. A name that the context lacks
    is an error.

    Args:
        loader: finds further templates, which may extend `base.html` and import `parts.html`.
        scripts: names of templates with JavaScript for the end of the page. No other script, and
            no event handler in an attribute, can run in the page.

    Raises:
        jinja2.TemplateError: the template is missing, invalid, or uses an unknown name.
    """
    own = PackageLoader("runtime.report")
    environment = Environment(
        loader=own if loader is None else ChoiceLoader([loader, own]),
        autoescape=select_autoescape(disabled_extensions=("md",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(cell=as_cell, decimals=decimals, percent=percent, p_value=p_value)
    sources = [_source(environment, name) for name in (*_SCRIPTS, *scripts)]
    # Globals, not context, are visible to imported macros.
    environment.globals.update(
        as_table=as_table,
        markdown_table=markdown_table,
        contents=Contents(),
        page_style=Markup(_source(environment, "page.css")),  # noqa: S704, our own file
        page_scripts=[Markup(source) for source in sources],  # noqa: S704, the caller's own files
        content_policy=_policy(sources),
    )
    return environment.get_template(template).render(context)


class Contents:
    """The table of contents, filled by the macro `section` while the page is rendered."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, int]] = []

    def add(self, identity: str, title: str, level: int) -> str:
        """Add a section and return its id. Raises ValueError if the id is taken."""
        if any(identity == known for known, _, _ in self.entries):
            raise ValueError(f"section: expected an id of its own, found {identity!r} twice")
        self.entries.append((identity, title, level))
        return identity


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy (W3C, level 3) that allows only these scripts."""
    hashes = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def figure_uri(figure: "Figure") -> str:
    """Return a figure as the data URI of an SVG; equal figures give equal text.

    In a dark color scheme, the colors `figures.INK`, `figures.RULE` and `figures.PAPER` change to
    light on dark.
    """
    from runtime.report.figures import svg

    return _uri("image/svg+xml", svg(figure).encode())


def place_figure(figure: "Figure | None", path: Path) -> dict[str, str | None]:
    """Write a figure as a PNG file beside a page; without one, remove that of an earlier run.

    Returns:
        `figure`, the data URI of an SVG for the page, and `picture`, the file's name for its
        Markdown; both None without a figure.

    Raises:
        OutputError: the file cannot be written.
    """
    if figure is None:
        path.unlink(missing_ok=True)
        return {"figure": None, "picture": None}
    write_bytes(path, figure_png(figure, 100))
    return {"figure": figure_uri(figure), "picture": path.name}


def figure_png(figure: "Figure", dpi: int = 150, colors: int | None = None) -> bytes:
    """Return a figure as a PNG file, on white; equal figures give equal bytes.

    Args:
        figure: to save.
        dpi: dots per inch.
        colors: largest number of colors, 2 to 256, which makes a figure of many scans several
            times smaller; by default unlimited.
    """
    from runtime.report.figures import png

    content = png(figure, dpi)
    if colors is None:
        return content
    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.quantize(colors).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def picture_uri(picture: NDArray[np.uint8], *, quality: int | None = 85) -> str:
    """Return a picture as a data URI.

    Args:
        picture: uint8 [H, W, 3], RGB; or [H, W, 4], RGBA, which becomes a PNG.
        quality: of the JPEG file, 1 to 95; None for a lossless PNG.

    Raises:
        ValueError: the array has another shape or type.
    """
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
        raise ValueError(
            f"picture: expected uint8 [H, W, 3] or [H, W, 4], found {picture.dtype} "
            f"{list(picture.shape)}"
        )
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    if picture.shape[2] == 3 and quality is not None:
        image.save(stream, format="JPEG", quality=quality, subsampling=0)
        return _uri("image/jpeg", stream.getvalue())
    image.save(stream, format="PNG", optimize=True)
    return _uri("image/png", stream.getvalue())


def svg_uri(source: str) -> str:
    """Return an SVG document as a data URI."""
    return _uri("image/svg+xml", source.encode())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
