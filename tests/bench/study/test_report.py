"""The report: one page that a browser takes, and the same as Markdown."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.study.figures import (
    curves_figure,
    differences_figure,
    histograms_figure,
    omits_epochs,
    reliability_figure,
)
from bench.study.readme import BEGIN, END, readme_block, with_block
from bench.study.report import write_study_report
from bench.study.result_figure import result_figure
from bench.study.tables import choices, files_table
from runtime.core.errors import DataError
from runtime.model.provider_choice import ProviderChoice
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine
from runtime.report.figures import new_figure, style
from runtime.report.page import figure_uri
from tests.support.browser import Browser
from tests.support.self_contained import external_references
from tests.support.study_fixture import Finished

FIGURES = (curves_figure, histograms_figure, differences_figure, reliability_figure)


@pytest.fixture(scope="module")
def page(finished: Finished) -> str:
    return (finished.folder / "report.html").read_text()


@pytest.fixture(scope="module")
def text(finished: Finished) -> str:
    return (finished.folder / "report.md").read_text()


def test_the_page_is_self_contained(page: str) -> None:
    assert external_references(page) == []


def test_page_and_text_hold_the_same_scores(finished: Finished, page: str, text: str) -> None:
    for split in finished.result.splits:
        for network in split.networks:
            for interval in network.means.values():
                written = f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
                assert written in page
                assert written in text
        for evidence in split.evidence:
            found = evidence.comparison.find("iou").difference
            written = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
            assert written in page
            assert written in text


def test_a_small_study_says_so_at_the_top(page: str, text: str) -> None:
    assert "Not the full protocol" in page.split('<section id="findings"')[0]
    assert "Not the full protocol" in text.split("## Findings")[0]


def test_the_processor_that_trained_the_networks_is_named(page: str, text: str) -> None:
    assert "Training time (CPU) includes" in page
    assert "Training time (CPU) includes" in text


def test_scores_state_what_computed_them(finished: Finished, page: str, text: str) -> None:
    found = finished.result.splits[0].networks[0]
    stated = f"({found.first.engine}), {found.latency.threads} thread"
    assert page.count(f"Computed by ONNX Runtime {stated}") == len(finished.result.splits)
    assert text.count(f"Computed by ONNX Runtime\n{stated}") == len(finished.result.splits)


def test_every_file_states_its_own_engine_and_the_choice_of_auto(finished: Finished) -> None:
    split = finished.result.splits[0]
    engine = Engine("openvino", "2.0", "Xeon", "bf16", 2)
    choice = ProviderChoice(ProviderRequest("openvino"), ())
    run = replace(split.networks[0].first, engine=engine, choice=choice)
    changed = replace(split.networks[0], runs=(run, *split.networks[0].runs[1:]))
    other = replace(split, networks=(changed, *split.networks[1:]))
    result = replace(finished.result, splits=(other, *finished.result.splits[1:]))
    header, rows = files_table(result)
    assert header[-1] == "scored by"
    by_file = {row[0]: row[-1] for row in rows}
    assert by_file.pop(run.file.path) == "openvino 2.0 on Xeon, bf16"
    assert set(by_file.values()) == {str(split.networks[1].first.engine)}
    assert choices(result) == [f"{run.file.path}: {choice}."]
    assert choices(finished.result) == []


def test_the_caption_tells_of_omitted_epochs_where_there_are_any(
    finished: Finished, page: str
) -> None:
    assert "The loss omits" not in page
    split = finished.result.splits[0]
    assert not omits_epochs(split)
    run = split.networks[0].first
    assert run.trained is not None
    longer = replace(run.trained, history=run.trained.history * 2)
    network = replace(split.networks[0], runs=(replace(run, trained=longer),))
    assert omits_epochs(replace(split, networks=(network,)))


@pytest.mark.parametrize(
    ("of_patients", "title"),
    [(0, "Grouped split: no similar images"), (None, "Grouped split: new patients")],
)
def test_new_patients_are_claimed_where_all_are_stated(
    finished: Finished, of_patients: int | None, title: str
) -> None:
    audit = finished.result.audit
    known = audit.images if of_patients is None else of_patients
    result = replace(finished.result, audit=replace(audit, of_patients=known))
    titles = [axes.get_title("left") for axes in result_figure(result).axes]
    assert f"{title}, soft IoU" in titles


def test_every_picture_of_the_text_is_there(finished: Finished, text: str) -> None:
    places = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert len(places) == 1 + 5 + 2 * 8
    for place in places:
        assert (finished.folder / place).read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (finished.folder / "figures").iterdir()} == {
        Path(place).name for place in places
    }


SVG = re.compile('"data:image/svg[^"]*"')


def test_the_report_is_the_same_each_time(
    finished: Finished, page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    monkeypatch.setattr("bench.study.examples.EXAMPLES", 1)
    # Only the text has this figure, as a file; the page has the same scans as cards.
    drawn = [path.stem for path in (folder / "figures").glob("*-examples-*.png")]
    assert drawn
    monkeypatch.setattr(
        "bench.study.report.examples_figures",
        lambda *_: {name.split("-examples-")[1]: new_figure(1.0, 1.0) for name in drawn},
    )
    monkeypatch.setattr("bench.study.report.figure_png", lambda *_, **__: b"")
    for place in ("bench.study.report", "runtime.report.exploration_page"):
        monkeypatch.setattr(f"{place}.figure_uri", lambda _: "data:image/svg")
    write_study_report(finished.result, finished.prepared, folder)
    again = (folder / "report.html").read_text()
    assert SVG.findall(page) != SVG.findall(again)
    assert SVG.sub("", again) == SVG.sub("", page)
    assert (folder / "report.md").read_text() == text


def test_a_figure_of_the_page_is_the_same_each_time_and_can_be_laid_out(
    finished: Finished, page: str
) -> None:
    """A layout that leaves no room for some axes warns, and warnings are errors here."""
    split = finished.result.splits[1]
    with style():
        for figure in (result_figure(finished.result), *(draw(split) for draw in FIGURES)):
            layout = figure.get_layout_engine()
            assert layout is not None
            figure.set_layout_engine("none")  # as in the fixture
            assert figure_uri(figure) in page
            layout.execute(figure)


def test_a_reader_sorts_switches_and_fades(finished: Finished, chromium: Browser) -> None:
    chromium.open(finished.folder / "report.html", width=1300)
    assert chromium.complaints == []
    assert chromium.requests == [(finished.folder / "report.html").as_uri()]

    rows = (
        "[...document.querySelector('#original-scores table').querySelectorAll('tbody tr')]"
        ".map(r => [r.cells[0].textContent, r.cells[4].dataset.value])"
    )
    iou = "#original-scores thead th:nth-child(5) button"
    before = chromium.evaluate(rows)
    chromium.click(iou)
    rising = [float(value) for _, value in chromium.evaluate(rows)]
    assert rising == sorted(rising)
    chromium.click(iou)
    assert [float(value) for _, value in chromium.evaluate(rows)] == sorted(rising, reverse=True)
    assert sorted(chromium.evaluate(rows)) == sorted(before)

    card = "document.querySelector('#original-gallery .case')"
    layer = f"getComputedStyle({card}.querySelector('.overlay:nth-of-type({{}})')).{{}}"
    assert chromium.evaluate(f"{card}.querySelectorAll('.overlay').length") == 3
    first, second = (layer.format(place, "visibility") for place in (2, 3))
    assert [chromium.evaluate(first), chromium.evaluate(second)] == ["visible", "hidden"]
    chromium.click("#original-gallery .controls label:nth-of-type(3) input")
    assert chromium.evaluate(second) == "visible"
    chromium.click("#original-gallery .controls label:nth-of-type(2) input")
    assert chromium.evaluate(first) == "hidden"
    chromium.evaluate(
        "(s => { s.value = 20; s.dispatchEvent(new Event('input')) })"
        "(document.querySelector('#original-gallery input[type=range]'))"
    )
    assert float(chromium.evaluate(layer.format(3, "opacity"))) == pytest.approx(0.2)
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert chromium.evaluate(wide)


def test_the_block_is_put_in_its_place(finished: Finished) -> None:
    block = readme_block(finished.result)
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert with_block(page, block) == f"# Title\n\n{block}\n\nafter\n"
    assert with_block(with_block(page, block), block) == with_block(page, block)
    with pytest.raises(DataError, match="marks"):
        with_block("# Title\n", block)
