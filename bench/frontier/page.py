"""A measurement as an HTML page, as Markdown, and as a part of another page."""

from pathlib import Path

from jinja2 import PackageLoader

from bench.frontier import tables
from bench.frontier.budget import Budget
from bench.frontier.dominance import find_dominators
from bench.frontier.figure import frontier_figure
from bench.frontier.recommendation import recommend
from bench.measure.result import BenchResult
from runtime.core.files import write_text
from runtime.core.schema import to_dict
from runtime.report.figures import style
from runtime.report.page import place_figure, render

PAGE, TEXT, PICTURE = "bench.html", "bench.md", "bench.png"
LOADER = PackageLoader("bench.frontier")


def write_pages(result: BenchResult, folder: Path, budget: Budget) -> tuple[Path, ...]:
    """Write `bench.html`, `bench.md` and the figure `bench.png`, and return their paths.

    There is no figure if no file has an accuracy.

    Raises:
        OutputError: a file cannot be written.
    """
    with style():
        figure = place_figure(frontier_figure(result), folder / PICTURE)
    context = {
        **details_context(result),
        **figure,
        "frontier": tables.frontier_table(result),
        "recommendation": recommend(result, budget) if budget.is_given else None,
    }
    write_text(folder / PAGE, render("bench_page.html", context, loader=LOADER))
    write_text(folder / TEXT, render("bench.md", context, loader=LOADER))
    return tuple(folder / name for name in (PAGE, TEXT, figure["picture"]) if name is not None)


def conclusions(result: BenchResult, budget: Budget) -> dict[str, object]:
    """Return the keys `frontier` and `recommendation` that a result's JSON file has besides.

    `frontier` lists for each file the paths that dominate it, or null if the file lacks a figure.
    `recommendation` is null without a budget.
    """
    dominators = find_dominators(result)
    return {
        "frontier": [
            {"path": model.name, "dominated_by": dominators.get(model.name)}
            for model in result.models
        ],
        "recommendation": to_dict(recommend(result, budget)) if budget.is_given else None,
    }


def details_context(result: BenchResult) -> dict[str, object]:
    """Return the variable `bench` of the templates `bench_details.html` and `bench_details.md`."""
    return {
        "bench": {
            "result": result,
            "conditions": tables.conditions(result),
            "scored_on": tables.scored_on(result),
            "latency": tables.latency_table(result),
            "notes": tables.notes(result),
            "memory": tables.memory_table(result),
            "stages": tables.stages_table(result),
            "rankings": tables.rankings_table(result),
            "failures": tables.failures(result),
        }
    }
