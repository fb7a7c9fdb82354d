"""The report of a sweep: an HTML page, and Markdown with a figure."""

from pathlib import Path

from jinja2 import ChoiceLoader, PackageLoader

from bench.frontier import page as frontier
from bench.sweep.figure import sweep_figure
from bench.sweep.result import SweepResult
from bench.sweep.tables import sentences, sweep_table
from runtime.core.files import write_text
from runtime.report.figures import style
from runtime.report.page import place_figure, render

PAGE, TEXT, PICTURE = "sweep.html", "sweep.md", "sweep.png"
_LOADER = ChoiceLoader([PackageLoader("bench.sweep"), frontier.LOADER])


def write_sweep_pages(result: SweepResult, folder: Path) -> tuple[Path, ...]:
    """Write `sweep.html`, `sweep.md` and `sweep.png`; return the paths of the written files.

    There is no figure if no file has an accuracy.

    Raises:
        OutputError: a file cannot be written.
    """
    with style():
        shown = place_figure(sweep_figure(result), folder / PICTURE)
    context = {
        **frontier.details_context(result.measured),
        **shown,
        "result": result,
        "trained": [network for network in result.networks if not network.given],
        "sentences": sentences(result),
        "table": sweep_table(result),
    }
    for path, template in ((folder / PAGE, "sweep.html"), (folder / TEXT, "sweep.md")):
        write_text(path, render(template, context, loader=_LOADER))
    return tuple(folder / name for name in (PAGE, TEXT, shown["picture"]) if name is not None)
