"""What a page does in a browser: tables sort, layers are switched and faded, nothing is fetched."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from jinja2 import DictLoader
from PIL import Image

from runtime.report.figures import INK, new_figure, style
from runtime.report.layers import mask_layer, probability_layer
from runtime.report.page import figure_uri, picture_uri, render
from tests.support.browser import Browser

SOURCE = """
{% extends "base.html" %}
{% import "parts.html" as parts %}
{% block title %}A page{% endblock %}
{% block content %}
{% call parts.section("table", "Table") %}
{{ parts.data_table(["name", "score"], rows, "caption") }}
{% endcall %}
{% call parts.section("figure", "Figure") %}{{ parts.figure(figure) }}{% endcall %}
{% call parts.section("gallery", "Gallery") %}
{% call parts.gallery("cases", overlays=[("first", "#ff3020"), ("second", "#3020ff")]) %}
{% for _ in range(3) %}
{{ parts.case("scan.jpg", scan, mask=mask, overlays=[red, blue], numbers=[("IoU", 0.5)]) }}
{% endfor %}
{% endcall %}
{% endcall %}
{{ extra }}
{% endblock %}
"""
ROWS = [
    ["scan 10", 0.5],
    ["scan 9", None],
    ["Scan 2", 1e-5],
    ["other", -3],
    ["<b>", float("nan")],
    ["middle", 1000],
]


def build(path: Path, extra: str = "") -> Path:
    with style():
        figure = new_figure(4.0, 2.0)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        axes.fill_between([0, 1], [1, 1], color=INK)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    half = np.zeros((32, 32), np.uint8)
    half[:16] = 1
    certain = np.ones((32, 32), np.float32)
    context = {
        "rows": ROWS,
        "figure": figure_uri(figure),
        "scan": picture_uri(np.full((32, 32, 3), 128, np.uint8)),
        "mask": picture_uri(mask_layer(half)),
        "red": picture_uri(probability_layer(certain)),
        "blue": picture_uri(probability_layer(certain, (48, 32, 255))),
        "extra": "",
    }
    source = SOURCE.replace("{{ extra }}", extra)
    path.write_text(render("own.html", context, loader=DictLoader({"own.html": source})))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture
def page(path: Path, chromium: Browser) -> Browser:
    chromium.open(path)
    return chromium


def column(page: Browser, number: int) -> list[str]:
    cells = f"[...document.querySelectorAll('tbody tr')].map(r => r.cells[{number}].textContent)"
    found: list[str] = page.evaluate(cells)
    return found


def orders(page: Browser) -> list[str]:
    headers = "[...document.querySelectorAll('thead th')].map(h => h.getAttribute('aria-sort'))"
    found: list[str] = page.evaluate(headers)
    return found


def test_a_click_sorts_by_number_and_another_turns_it_round(page: Browser) -> None:
    before = column(page, 0)
    assert before == ["scan 10", "scan 9", "Scan 2", "other", "<b>", "middle"]
    assert orders(page) == ["none", "none"]
    page.click("thead th:nth-child(2) button")
    assert column(page, 0) == ["other", "Scan 2", "scan 10", "middle", "scan 9", "<b>"]
    assert orders(page) == ["none", "ascending"]
    page.click("thead th:nth-child(2) button")
    # what isn't there stays last
    assert column(page, 0) == ["middle", "scan 10", "Scan 2", "other", "scan 9", "<b>"]
    assert orders(page) == ["none", "descending"]


def test_text_sorts_as_a_reader_would_and_numbers_in_it_by_size(page: Browser) -> None:
    page.click("thead th:nth-child(1) button")
    assert column(page, 0) == ["<b>", "middle", "other", "Scan 2", "scan 9", "scan 10"]
    assert orders(page) == ["ascending", "none"]


def test_a_table_sorts_from_the_keyboard(page: Browser) -> None:
    page.evaluate("document.querySelector('.contents li:last-child a').focus()")
    page.press("Tab", 9)
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.closest('th').textContent") == "score"
    page.press("Enter", 13, "\r")
    assert orders(page) == ["none", "ascending"]


def shown(page: Browser, number: int) -> list[str]:
    """The visibility of each card's picture of that number: scan, first, second, mask."""
    pictures = (
        "[...document.querySelectorAll('.layers')]"
        f".map(l => getComputedStyle(l.children[{number}]).visibility)"
    )
    found: list[str] = page.evaluate(pictures)
    return found


def test_a_switch_hides_and_shows_a_layer_of_every_card(page: Browser) -> None:
    states = ("visible", "visible", "hidden", "visible")
    assert [set(shown(page, n)) for n in range(4)] == [{state} for state in states]
    page.click("input[data-shows='mask']")
    page.click("input[data-shows='overlay-1']")
    page.click("input[data-shows='overlay-2']")
    states = ("visible", "hidden", "visible", "hidden")
    assert [shown(page, n) for n in range(4)] == [[state] * 3 for state in states]
    page.click("input[data-shows='mask']")
    assert shown(page, 3) == ["visible"] * 3


def test_the_slider_fades_the_maps_of_every_card_and_says_how_far(page: Browser) -> None:
    fades = "[...document.querySelectorAll('.overlay')].map(o => getComputedStyle(o).opacity)"
    said = "document.querySelector('.controls output').textContent"
    assert set(page.evaluate(fades)) == {"0.6"}
    page.evaluate("document.querySelector('input[data-fades]').focus()")
    for _ in range(5):
        page.press("ArrowRight", 39)
    assert set(page.evaluate(fades)) == {"0.65"}
    assert page.evaluate(said) == "65 %"
    page.press("Home", 36)
    assert set(page.evaluate(fades)) == {"0"}
    assert page.evaluate(said) == "0 %"


def test_what_is_seen_is_the_scan_under_its_layers(page: Browser, tmp_path: Path) -> None:
    def middle() -> tuple[int, ...]:
        place = page.evaluate(
            "(r => [r.x + r.width / 2 + scrollX, r.y + r.height * 0.75 + scrollY])"
            "(document.querySelector('.layers').getBoundingClientRect())"
        )
        page.screenshot(tmp_path / "page.png")
        with Image.open(tmp_path / "page.png") as picture:
            found = picture.convert("RGB").getpixel((round(place[0]), round(place[1])))
        assert isinstance(found, tuple)
        return found

    share = 0.6 * 0.8  # the slider's, of the strongest
    expected = [128 + share * (color - 128) for color in (255, 48, 32)]
    assert middle() == pytest.approx(expected, abs=3)
    page.click("input[data-shows='overlay-1']")
    assert middle() == pytest.approx((128, 128, 128), abs=1)


def test_a_dark_scheme_turns_the_page_and_its_figures(
    path: Path, chromium: Browser, tmp_path: Path
) -> None:
    def levels(dark: bool) -> tuple[float, float]:
        chromium.open(path, dark=dark)
        x, y = chromium.evaluate(
            "(r => [r.x + r.width / 2 + scrollX, r.y + r.height / 2 + scrollY])"
            "(document.querySelector('figure img').getBoundingClientRect())"
        )
        chromium.screenshot(tmp_path / "page.png")
        with Image.open(tmp_path / "page.png") as picture:
            gray = np.asarray(picture.convert("L"))
        return float(gray[5, 5]), float(gray[round(y), round(x)])

    light_paper, light_ink = levels(dark=False)
    dark_paper, dark_ink = levels(dark=True)
    assert light_paper > 240
    assert light_ink < 50
    assert dark_paper < 50
    assert dark_ink > 200


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_fetches_nothing_even_where_it_is_told_to(
    visits: tuple[str, list[str]], chromium: Browser, tmp_path: Path
) -> None:
    address, asked = visits
    extra = (
        f'<img src="{address}/image"><link rel="stylesheet" href="{address}/style">'
        f'<script src="{address}/script"></script><iframe src="{address}/frame"></iframe>'
        "<script>document.title = 'ran'</script>"
        """<img src="data:," onerror="document.title = 'ran'">"""
    )
    chromium.open(build(tmp_path / "page.html", extra))
    refused = f"fetch('{address}/fetch').then(() => 'fetched', () => 'refused')"
    assert chromium.evaluate(refused) == "refused"
    assert chromium.evaluate("document.title") == "A page"
    assert asked == []
    # The server is there: a page without the policy reaches it.
    plain = tmp_path / "plain.html"
    plain.write_text(f'<img src="{address}/image">')
    chromium.open(plain)
    assert asked == ["/image"]
