"""`seg-data report`: the page, the numbers, and what can go wrong."""

import contextlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from runtime.cli.data import main
from runtime.data.coco import read_dataset
from runtime.report.exploration import explore
from runtime.report.exploration_page import SHOWN, exploration_context, exploration_html
from runtime.report.page import render
from tests.support.browser import Browser
from tests.support.self_contained import external_references, handlers, pictures
from tests.support.without_layout import leave_out_layout

COCO = "_annotations.coco.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *(str(argument) for argument in arguments)])


def assert_one_sentence(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    for word in words:
        assert word in line


def edit(folder: Path, **lists: object) -> None:
    content = json.loads((folder / COCO).read_text())
    (folder / COCO).write_text(json.dumps(content | lists))


@pytest.fixture
def copy(phantom: Path, tmp_path: Path) -> Path:
    """A copy of the phantom set, to be changed."""
    return Path(shutil.copytree(phantom, tmp_path / "copy"))


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the figures of a page empty: drawing them takes seconds."""
    monkeypatch.setattr("runtime.report.exploration_page.figure_uri", lambda _: "data:,")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command is run."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def result(phantom: Path, folder: Path) -> Result:
    with contextlib.chdir(folder):
        return run(phantom, "--json", "new/numbers.json")


@pytest.fixture(scope="module")
def page(folder: Path, result: Result) -> Path:
    assert result.exit_code == 0, result.output
    return folder / "artifacts" / "data-report.html"


def test_a_page_and_the_numbers_are_written_and_nothing_else(
    folder: Path, page: Path, result: Result
) -> None:
    written = {path for path in folder.rglob("*") if path.is_file()}
    assert written == {page, folder / "new" / "numbers.json"}
    assert result.output.splitlines()[-2:] == ["artifacts/data-report.html", "new/numbers.json"]


def test_the_numbers_are_printed(folder: Path, result: Result) -> None:
    content = json.loads((folder / "new" / "numbers.json").read_text())
    lines = result.output.splitlines()
    for split in content["splits"]:
        (line,) = [line for line in lines if line.startswith(f"{split['name']} ")]
        assert str(round(split["spreads"]["area"]["mean"])) in line.split()
    for test in content["tests"]:
        numbers = {f"{test[name]:.4f}" for name in ("statistic", "p_value", "holm_p_value")}
        assert any(numbers <= set(line.split()) for line in lines)


def test_the_page_is_self_contained(page: Path) -> None:
    text = page.read_text()
    assert external_references(text) == []
    assert handlers(text) == []
    assert not re.search(r"https?:", text)


def test_the_same_data_give_the_same_page(phantom: Path, page: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    assert run(phantom, "--out", again).exit_code == 0
    assert again.read_bytes() == page.read_bytes()


def test_a_figure_has_a_panel_for_each_split(page: Path) -> None:
    figures = [c.decode() for kind, c in pictures(page.read_text()) if kind == "image/svg+xml"]
    panels = [text.count('<g id="axes_') for text in figures if "<!-- train" in text]
    assert panels == [4, 4, 4, 4, 4]  # three splits and all, or three and the colors' scale


@pytest.fixture(scope="module")
def odd_page(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of odd data: a split's name, and flat images without annotation in another."""
    folder = tmp_path_factory.mktemp("odd")
    data = Path(shutil.copytree(phantom, folder / "<i>"))
    (data / "valid").rename(data / "$\\frac{1}<b>&")
    train = data / "train"
    content = json.loads((train / COCO).read_text())
    for path in train.glob("*.png"):
        Image.open(path).resize((500, 3)).save(path)
    sizes = {"width": 500, "height": 3}
    edit(train, annotations=[], images=[image | sizes for image in content["images"]])
    with pytest.MonkeyPatch.context() as patch:
        leave_out_layout(patch)
        result = run(data, "--out", folder / "page.html")
    assert result.exit_code == 0, result.output
    return (folder / "page.html").read_text()


def test_a_name_is_shown_as_it_is(odd_page: str) -> None:
    text = odd_page
    assert "Data report: &lt;i&gt;" in text
    assert "$\\frac{1}&lt;b&gt;&amp;" in text
    assert "<b>&" not in text


def test_a_gallery_shows_a_few_of_each_kind_and_says_so(copy: Path, without_drawing: None) -> None:
    edit(copy / "train", annotations=[])
    dataset = read_dataset(copy)
    text = exploration_html(dataset, explore(dataset, size=(16, 16)))
    samples, outliers = text.split("Outliers</h2>")
    assert outliers.count('<figure class="case">') == SHOWN
    assert samples.count('<figure class="case">') == 3 * SHOWN // 3
    assert f"{SHOWN} of 16 images with an outlier" in text


def test_the_exploration_can_be_a_part_of_another_page(
    phantom: Path, without_drawing: None
) -> None:
    from jinja2 import DictLoader

    source = """{% extends "base.html" %}{% import "parts.html" as parts %}
    {% block title %}Study{% endblock %}
    {% block content %}{% call parts.section("data", "The data") %}
    {% include "exploration.html" %}{% endcall %}{% endblock %}"""
    dataset = read_dataset(phantom)
    context = exploration_context(dataset, explore(dataset, size=(8, 8)), level=3, prefix="data-")
    text = render("study.html", context, loader=DictLoader({"study.html": source}))
    links = re.findall(r'<li class="level-(\d)"><a href="#([\w-]+)"', text)
    assert links[0] == ("2", "data")
    assert {level for level, _ in links[1:]} == {"3"}
    assert all(identity.startswith("data-") for _, identity in links[1:])


def test_what_is_no_data_set_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out" / "page.html"
    assert_one_sentence(run(tmp_path / "none", "--out", out), "none", "no such folder")
    (tmp_path / "empty").mkdir()
    assert_one_sentence(run(tmp_path / "empty", "--out", out), "empty")
    assert not out.parent.exists()


def test_an_image_that_cannot_be_read_is_one_sentence(copy: Path, tmp_path: Path) -> None:
    image = next((copy / "test").glob("*.png"))
    image.write_text("no image")
    out = tmp_path / "page.html"
    out.write_text("an earlier page")
    assert_one_sentence(run(copy, "--out", out), image.name)
    assert out.read_text() == "an earlier page"


def test_a_split_without_images_is_one_sentence(copy: Path, tmp_path: Path) -> None:
    edit(copy / "test", annotations=[], images=[])
    assert_one_sentence(run(copy, "--out", tmp_path / "page.html"), "no images")


@pytest.mark.usefixtures("no_layout")
def test_one_split_of_one_image_works_and_says_that_there_is_nothing_to_compare(
    copy: Path, tmp_path: Path
) -> None:
    shutil.rmtree(copy / "valid")
    shutil.rmtree(copy / "test")
    content = json.loads((copy / "train" / COCO).read_text())
    (copy / "train" / COCO).write_text(
        json.dumps(content | {"images": content["images"][:1], "annotations": []})
    )
    out = tmp_path / "page.html"
    result = run(copy, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Kolmogorov" not in result.output
    assert "only one split" in out.read_text()


def test_a_split_of_flat_images_without_annotation_works(odd_page: str) -> None:
    row = odd_page.split('<th scope="row">train</th>')[1].split("</tr>")[0]
    assert re.findall(r">([^<]*)</td>", row)[:3] == ["16", "16", "0"]


def test_two_outputs_need_two_files(phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert_one_sentence(run(phantom, "--out", out, "--json", out), "need different files")


def test_without_the_extra_it_says_which_install_brings_it(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "scipy" else find(name, *rest),
    )
    assert_one_sentence(run(phantom, "--out", tmp_path / "page.html"), "scipy", "'.[report]'")


def test_a_browser_shows_it_and_asks_for_nothing_else(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    assert chromium.requests == [page.as_uri()]
    assert chromium.complaints == []
    broken = "[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
    assert chromium.evaluate(broken) == 0
    assert chromium.evaluate("document.images.length") >= 5


@pytest.mark.parametrize("width", [400, 1300])
def test_nothing_is_wider_than_the_window(page: Path, chromium: Browser, width: int) -> None:
    chromium.open(page, width=width)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
