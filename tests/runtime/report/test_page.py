"""Pages: they stand alone, say what they are given, and are the same each time."""

import base64
import io
import re

import numpy as np
import pytest
from jinja2 import DictLoader, TemplateNotFound, UndefinedError
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from runtime.report.figures import INK, new_figure, style
from runtime.report.page import figure_png, figure_uri, picture_uri, render
from tests.support.self_contained import external_references, handlers, pictures

PAGE = """
{% extends "base.html" %}
{% import "parts.html" as parts %}
{% block title %}{{ title }}{% endblock %}
{% block content %}
{% call parts.section("one", "First & last") %}<p>{{ text }}</p>{% endcall %}
{% call parts.section("two", "Second", 3) %}
{{ parts.figure(picture, "seen", "a cat") }}
{% endcall %}
{% endblock %}
"""


def page(source: str = PAGE, **context: object) -> str:
    context = {
        "title": "A title",
        "text": "some text",
        "picture": "data:image/png;base64,",
    } | context
    return render("own.html", context, loader=DictLoader({"own.html": source}))


def a_figure() -> Figure:
    with style():
        figure = new_figure(3.0, 2.0)
        axes = figure.subplots()
        axes.plot([1, 2, 3], [2, 1, 4], label="a line")
        axes.imshow(np.arange(6).reshape(2, 3))
        axes.set_title("a title")
        axes.legend()
    return figure


def test_a_page_is_self_contained() -> None:
    text = page(picture=figure_uri(a_figure()))
    assert external_references(text) == []
    assert handlers(text) == []
    assert not re.search(r"https?:", text)


def test_a_page_forbids_what_it_does_not_need() -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page())
    directives = dict(
        part.strip().split(" ", 1) for part in policy.replace("&#39;", "'").split(";")
    )
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert "unsafe" not in directives["script-src"]


def test_the_contents_list_the_sections_in_their_order() -> None:
    links = re.findall(r'<li class="level-(\d)"><a href="#(\w+)">(.*?)</a>', page())
    assert links == [("2", "one", "First &amp; last"), ("3", "two", "Second")]
    for level, identity, title in links:
        assert re.search(rf'<section id="{identity}">\s*<h{level}>{title}</h{level}>', page())


def test_two_sections_of_one_id_are_an_error() -> None:
    with pytest.raises(ValueError, match="'one' twice"):
        page(PAGE.replace('"two"', '"one"'))


def test_what_is_shown_is_escaped_and_markup_is_not() -> None:
    text = page(title="<b>&", text="<script>alert(1)</script>")
    assert "<title>&lt;b&gt;&amp;</title>" in text
    assert "<h1>&lt;b&gt;&amp;</h1>" in text
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in text
    assert "<p><em>so</em></p>" in page(text=Markup("<em>so</em>"))


def test_markdown_is_not_escaped_but_has_the_same_table() -> None:
    source = "{{ name }}\n{{ markdown_table(['a'], [[0.5]]) }}\n"
    text = render("own.md", {"name": "a & b"}, loader=DictLoader({"own.md": source}))
    assert text == "a & b\n| a |\n| --: |\n| 0.5000 |\n"


def test_a_name_that_is_not_given_and_a_template_that_is_not_there_are_errors() -> None:
    with pytest.raises(UndefinedError, match="no_such_name"):
        page(PAGE.replace("text }}", "no_such_name }}"))
    with pytest.raises(TemplateNotFound):
        render("no-such.html", {})


def test_own_scripts_are_in_the_page_and_allowed_by_their_hash() -> None:
    script = "document.title = \"</> & 'quotes'\";\n"
    loader = DictLoader({"own.html": PAGE, "own.js": script})
    context = {"title": "t", "text": "", "picture": "data:,"}
    text = render("own.html", context, loader=loader, scripts=("own.js",))
    assert f"<script>{script}</script>" in text
    assert text.count("'sha256-") + text.count("&#39;sha256-") == 2


def test_the_same_context_gives_the_same_page() -> None:
    texts = {page(picture=figure_uri(a_figure())) for _ in range(2)}
    assert len(texts) == 1


def test_a_figure_is_svg_without_a_date_and_follows_a_dark_scheme() -> None:
    uri = figure_uri(a_figure())
    ((kind, content),) = pictures(uri)
    assert kind == "image/svg+xml"
    text = content.decode()
    assert text.startswith("<svg")
    assert "dc:date" not in text
    assert "prefers-color-scheme: dark" in text
    assert INK in text
    assert uri == figure_uri(a_figure())


def test_a_figure_as_png_is_white_and_the_same_each_time() -> None:
    content = figure_png(a_figure(), dpi=50)
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("PNG", (150, 100))
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert content == figure_png(a_figure(), dpi=50)


def test_a_figure_looks_alike_in_either_format() -> None:
    figure = a_figure()
    figure_png(figure, dpi=200)
    places = [axes.get_position().bounds for axes in figure.axes]
    assert places != [axes.get_position().bounds for axes in a_figure().axes], "there is no layout"
    figure_uri(figure)
    assert [axes.get_position().bounds for axes in figure.axes] == places


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_axes_lie_where_matplotlib_places_them_for_the_format(kind: str) -> None:
    figure, reference = a_figure(), a_figure()
    if kind == "png":
        figure_png(figure, 70)
        reference.savefig(io.BytesIO(), format=kind, dpi=70)
    else:
        figure_uri(figure)
        reference.savefig(io.BytesIO(), format=kind)
    found, expected = (
        [axes.get_position().bounds for axes in drawn.axes] for drawn in (figure, reference)
    )
    assert found == expected
    assert figure.dpi == reference.dpi


def test_a_name_that_the_font_lacks_is_drawn_without_a_warning() -> None:
    figure = new_figure(2.0, 1.0)
    figure.suptitle("腫瘍")
    assert figure_uri(figure)
    assert figure_png(figure, 50)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_keeps_every_level_as_png(channels: int) -> None:
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 256, (9, 7, channels), np.uint8)
    ((kind, content),) = pictures(picture_uri(pixels, quality=None))
    assert kind == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def test_a_picture_is_close_as_jpeg_and_smaller() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.stack([np.add.outer(ramp // 2, ramp // 2)] * 3, axis=2)
    pixels += np.random.default_rng(0).integers(0, 3, pixels.shape, np.uint8) * (pixels < 250)
    ((kind, content),) = pictures(picture_uri(pixels))
    assert kind == "image/jpeg"
    seen = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert np.abs(seen - pixels).mean() < 3
    assert len(content) < len(base64.b64decode(picture_uri(pixels, quality=None).split(",")[1]))


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_picture_is_an_error(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    with pytest.raises(ValueError, match="picture: expected uint8"):
        picture_uri(picture)
