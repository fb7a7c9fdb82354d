"""A measurement as a page, as Markdown, and as a part of another page."""

from pathlib import Path

from jinja2 import PackageLoader

from bench.frontier import tables
from bench.frontier.budget import Budget, recommend
from bench.frontier.dominance import find_standings
from bench.frontier.figure import frontier_figure
from bench.measure.result import BenchResult
from runtime.core.files import write_text
from runtime.core.schema import to_dict
from runtime.report.figures import style
from runtime.report.page import place_figure, render

PAGE, TEXT, PICTURE = "bench.html", "bench.md", "bench.png"
LOADER = PackageLoader("bench.frontier")


def write_pages(result: BenchResult, folder: Path, budget: Budget) -> tuple[Path, ...]:
    """Write `bench.html`, `bench.md` and its picture; return what was written. Raises OutputError.

    There is no picture where no file has an accuracy.
    """
    with style():
        shown = place_figure(frontier_figure(result), folder / PICTURE)
    context = {
        **details_context(result),
        **shown,
        "frontier": tables.frontier_table(result),
        "recommendation": recommend(result, budget) if budget.is_given else None,
    }
    write_text(folder / PAGE, render("bench_page.html", context, loader=LOADER))
    write_text(folder / TEXT, render("bench.md", context, loader=LOADER))
    return tuple(folder / name for name in (PAGE, TEXT, shown["picture"]) if name is not None)


def conclusions(result: BenchResult, budget: Budget) -> dict[str, object]:
    """Return what stands beside a result in its JSON file: `frontier` and `recommendation`.

    `frontier` holds for each file the paths of those that dominate it; null where the file lacks a
    figure. `recommendation` is null without a budget.
    """
    found = find_standings(result)
    standings = [(model.path, found.get(model.path)) for model in result.models]
    return {
        "frontier": [
            {"path": path, "dominated_by": standing and list(standing.dominated_by)}
            for path, standing in standings
        ],
        "recommendation": to_dict(recommend(result, budget)) if budget.is_given else None,
    }


def details_context(result: BenchResult) -> dict[str, object]:
    """Return what the templates `bench_details.html` and `.md` need, under the one name `bench`."""
    return {
        "bench": {
            "of": result,
            "conditions": tables.conditions(result),
            "scored_on": _scored_on(result),
            "latency": tables.latency_table(result),
            "memory": tables.memory_table(result),
            "stages": tables.stages_table(result),
            "rankings": tables.rankings_table(result),
            "failures": tables.failures(result),
        }
    }


def _scored_on(result: BenchResult) -> str | None:
    for model in result.models:
        if (found := model.accuracy) is not None:
            sizes = {model.accuracy.size for model in result.models if model.accuracy}
            at = "x".join(map(str, found.size)) if len(sizes) == 1 else "the size of each input"
            return (
                f"{found.data}, split {found.split}: {found.images} images in {found.groups} "
                f"groups, masks from {found.masks}, compared with the probabilities at {at}"
            )
    return None
