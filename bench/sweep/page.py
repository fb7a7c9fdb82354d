"""A sweep as a page, and the same as Markdown with its picture."""

from pathlib import Path

from jinja2 import ChoiceLoader, PackageLoader

from bench.frontier import page as frontier
from bench.sweep.figure import sweep_figure
from bench.sweep.result import SweepResult
from bench.sweep.tables import sentences, sweep_table
from runtime.files import write_bytes, write_text
from runtime.report.figures import style
from runtime.report.page import figure_png, figure_uri, render

PAGE, TEXT, PICTURE = "sweep.html", "sweep.md", "sweep.png"
_LOADER = ChoiceLoader([PackageLoader("bench.sweep"), frontier.LOADER])


def write_sweep_pages(result: SweepResult, folder: Path) -> tuple[Path, ...]:
    """Write `sweep.html`, `sweep.md` and its picture; return what was written. Raises OutputError.

    There is no picture where no file has an accuracy.
    """
    written = [folder / PAGE, folder / TEXT]
    with style():
        figure = sweep_figure(result)
        if figure is None:
            (folder / PICTURE).unlink(missing_ok=True)  # of an earlier run
        else:
            write_bytes(folder / PICTURE, figure_png(figure, 100))
            written.append(folder / PICTURE)
        context = {
            **frontier.details_context(result.measured),
            "result": result,
            "trained": [network for network in result.networks if not network.taken],
            "sentences": sentences(result),
            "table": sweep_table(result),
            "figure": None if figure is None else figure_uri(figure),
            "picture": None if figure is None else PICTURE,
        }
    for path, template in ((folder / PAGE, "sweep.html"), (folder / TEXT, "sweep.md")):
        write_text(path, render(template, context, loader=_LOADER))
    return tuple(written)
