"""The report of a study: one HTML page, and Markdown with a folder of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import PackageLoader
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.study.claims.tables import claims_table, measures_table
from bench.study.examples import ExampleScan, Pictures, choose_examples, predict_examples
from bench.study.figures import (
    color_of,
    curves_figure,
    differences_figure,
    examples_figures,
    histograms_figure,
    omits_epochs,
    reliability_figure,
)
from bench.study.findings import coverage_text, study_findings
from bench.study.prepare import Prepared
from bench.study.ranking import rank, ranking_sentence
from bench.study.result import SplitResult, StudyResult
from bench.study.result_figure import result_figure
from bench.study.tables import (
    LABELS,
    calibration_table,
    choices,
    comparison_table,
    cost_table,
    devices_text,
    engines_text,
    false_positives_table,
    files_table,
    images_text,
    leak_table,
    ranking_table,
    scores_table,
    three,
    withheld,
)
from bench.study.variance import variance_table
from runtime.core.files import write_bytes, write_text
from runtime.core.progress import counted
from runtime.data.targets import choose_targets
from runtime.metrics import STUDY_METRICS
from runtime.model.overlay import TARGET
from runtime.model.predictor import Predictor
from runtime.report.audit_page import audit_context, exposure_table
from runtime.report.cells import short_name
from runtime.report.exploration_figures import exploration_figures
from runtime.report.exploration_page import exploration_context, formatted_tests
from runtime.report.exploration_tables import summary_table
from runtime.report.figures import style
from runtime.report.layers import Color, css_color, display_window, mask_layer, probability_layer
from runtime.report.page import figure_png, figure_uri, picture_uri, render
from runtime.scoring.bootstrap import RESAMPLES
from runtime.scoring.calibration import CALIBRATION_BINS

PAGE, TEXT, FIGURES = "report.html", "report.md", "figures"
RESULT = "result"
"""The name of the main result's figure."""
_LOADER = PackageLoader("bench.study")


@dataclass(frozen=True, slots=True)
class _SplitView:
    """One split, as the templates need it."""

    kind: str
    title: str
    result: SplitResult
    figures: Mapping[str, Figure]
    examples: tuple[ExampleScan, ...]
    pictures: dict[str, Pictures]

    @property
    def omits_epochs(self) -> bool:
        """True where the figure of the curves begins the loss after the first epochs."""
        return omits_epochs(self.result)


def write_study_report(result: StudyResult, prepared: Prepared, folder: str | Path) -> Path:
    """Write `report.html`, `report.md` and `figures/` to the study's folder; return the page.

    Raises:
        ImageError, ModelError: a scan or the file of a network cannot be read.
        OutputError: a file cannot be written.
    """
    out = Path(folder)
    splits = [_view(split, result, prepared, out) for split in result.splits]
    with style():
        main = result_figure(result)
    explored = exploration_figures(prepared.exploration)
    files = _write_figures(splits, explored, main, out)
    shared = _shared(result, splits)
    text = {**shared, **_text_only(result, prepared), "files": files}
    page = {**shared, **_page_only(result, prepared, splits, explored, main)}
    write_text(out / TEXT, render("study.md", text, loader=_LOADER))
    write_text(out / PAGE, render("study.html", page, loader=_LOADER))
    return out / PAGE


def _shared(result: StudyResult, splits: Sequence[_SplitView]) -> dict[str, object]:
    """Return the variables of both templates."""
    run = result.config.training(result.config.trained[0], result.data_name)
    tables = {
        "leak": leak_table(result),
        "cost": cost_table(result),
        "files": files_table(result),
        "scores": {s.kind: scores_table(s) for s in result.splits},
        "calibration": {s.kind: calibration_table(s) for s in result.splits},
        "comparison": {s.kind: comparison_table(s) for s in result.splits},
        "ranking": {s.kind: ranking_table(s) for s in result.splits},
        "false_positives": {s.kind: false_positives_table(s) for s in result.splits},
        "variance": {s.kind: variance_table(s.variance) for s in result.splits},
        "claims": claims_table(result.claims),
        "measures": measures_table(result.claims),
    }
    return {
        "result": result,
        "width": run.width,
        "size": run.size,
        "epochs": run.epochs,
        "splits": splits,
        "labels": LABELS,
        "metrics": STUDY_METRICS,
        "resamples": RESAMPLES,
        "bins": CALIBRATION_BINS,
        "tables": tables,
        "findings": study_findings(result),
        "engines": engines_text(result),
        "threads": counted(result.splits[0].networks[0].latency.threads, "thread"),
        "choices": choices(result),
        "devices": devices_text(result),
        "coverage": coverage_text(result.config),
        "first": {s.kind: ranking_sentence(rank(s)) for s in result.splits},
        "images": {s.kind: images_text(s) for s in result.splits},
        "withheld": {s.kind: withheld(s) for s in result.splits},
        "remaining": result.grouped_audit and exposure_table(result.grouped_audit),
    }


def _page_only(
    result: StudyResult,
    prepared: Prepared,
    splits: Sequence[_SplitView],
    explored: Mapping[str, Figure],
    main: Figure,
) -> dict[str, object]:
    return {
        "main": figure_uri(main),
        **exploration_context(
            prepared.original, prepared.exploration, level=3, prefix="data-", figures=explored
        ),
        **audit_context(prepared.original, result.audit, level=3, prefix="audit-"),
        "figures": {s.kind: {n: figure_uri(f) for n, f in s.figures.items()} for s in splits},
        "cards": {s.kind: _cards(s) for s in splits},
        "overlays": _overlays(result),
        "mask_color": css_color(TARGET),
    }


def _text_only(result: StudyResult, prepared: Prepared) -> dict[str, object]:
    return {
        "exploration_summary": summary_table(prepared.exploration),
        "exploration_tests": formatted_tests(prepared.exploration),
        "exposures": exposure_table(result.audit),
    }


def _view(split: SplitResult, result: StudyResult, prepared: Prepared, out: Path) -> _SplitView:
    evaluations = [network.first.evaluation for network in split.networks]
    examples = choose_examples(evaluations)
    predictors = {
        network.network: Predictor(
            out / network.first.file.path,
            threads=result.config.threads,
            provider=result.config.provider,
        )
        for network in split.networks
    }
    test = prepared.datasets[split.kind].split("test")
    names = [example.file for example in examples]
    masks = choose_targets(result.config.masks, [test]).masks
    pictures = predict_examples(names, test, predictors, evaluations, masks=masks)
    with style():
        figures = {
            "curves": curves_figure(split),
            "histograms": histograms_figure(split),
            "reliability": reliability_figure(split),
        }
        if split.evidence:
            figures["differences"] = differences_figure(split)
    return _SplitView(split.kind, f"the {split.kind} split", split, figures, examples, pictures)


def _rgb(index: int) -> Color:
    red, green, blue = (round(255 * part) for part in to_rgb(color_of(index)))
    return red, green, blue


def _overlays(result: StudyResult) -> list[tuple[str, str]]:
    return [(name, css_color(_rgb(i))) for i, name in enumerate(result.config.networks)]


def _cards(view: _SplitView) -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return the cards by metric and quartile; the pictures of each scan are encoded once."""
    encoded: dict[str, dict[str, object]] = {}
    for file, shown in view.pictures.items():
        encoded[file] = {
            "title": short_name(file),
            "scan": picture_uri(display_window(shown.scan)),
            "mask": picture_uri(mask_layer(shown.mask, width=1)),
            "overlays": [
                picture_uri(probability_layer(probability, _rgb(index)))
                for index, probability in enumerate(shown.probability.values())
            ],
        }
    cards: dict[str, dict[str, list[dict[str, object]]]] = {}
    for example in view.examples:
        values = view.pictures[example.file].scores
        card = {
            **encoded[example.file],
            "note": "in the quartile of " + ", ".join(example.chosen_by),
            "numbers": [(name, three(getattr(s, example.metric))) for name, s in values.items()],
        }
        cards.setdefault(example.metric, {}).setdefault(example.quartile, []).append(card)
    return cards


def _write_figures(
    views: list[_SplitView], explored: Mapping[str, Figure], main: Figure, out: Path
) -> dict[str, str]:
    """Write every figure as PNG and return their paths, relative to `out`, by name."""
    figures = {RESULT: main, **{f"data-{name}": each for name, each in explored.items()}}
    for view in views:
        figures |= {f"{view.kind}-{name}": figure for name, figure in view.figures.items()}
        networks = [network.network for network in view.result.networks]
        with style():
            drawn = examples_figures(view.examples, view.pictures, networks)
        figures |= {f"{view.kind}-examples-{metric}": each for metric, each in drawn.items()}
    paths = {}
    for name, figure in figures.items():
        place = f"{FIGURES}/{name}.png"
        many_scans = "-examples-" in name
        png = figure_png(figure, 60, colors=256) if many_scans else figure_png(figure, 100)
        write_bytes(out / place, png)
        paths[name] = place
    for earlier in (out / FIGURES).glob("*.png"):
        if f"{FIGURES}/{earlier.name}" not in paths.values():
            earlier.unlink()  # from a study of other networks or splits
    return paths
