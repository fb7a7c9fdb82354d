"""The documentation: short sentences, links that lead somewhere, and statements that are true."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from runtime.model.certificate import Conversion, Parity
from runtime.model.checksums import Checksums
from runtime.model.golden import Golden
from runtime.model.metadata import (
    EncoderInfo,
    InputSpec,
    Metadata,
    NetworkInfo,
    OutputSpec,
    TrainingInfo,
)

ROOT = Path(__file__).resolve().parents[1]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
MAX_WORDS = 30


def prose(text: str) -> str:
    """Return a page without code blocks, comments, tables, headings and targets of links."""
    text = re.sub(r"^```.*?^```", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "\n", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    lines = ("" if line.startswith(("|", "#")) else line for line in text.splitlines())
    return "\n".join(lines)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page; a list's items and paragraphs end sentences too."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose(text)):
        yield from re.split(r"(?<=[.?!])[*)\"]*\s+", " ".join(paragraph.split()))


def test_the_sentences_of_a_page_are_told_apart() -> None:
    page = "# Title\n\nOne two. Is [three](four.md)?\n\n| a | b |\n\n- item\n- 0.5 of `a.b`\n\n"
    page += "```\ncode\n```\n"
    assert [s for s in sentences(page) if s] == [
        "One two.",
        "Is three?",
        "- item",
        "- 0.5 of `a.b`",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sentence_is_long(page: Path) -> None:
    for sentence in sentences(page.read_text()):
        assert len(sentence.split()) <= MAX_WORDS, sentence


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code forges and MkDocs name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert not target.startswith("http"), f"{page.name}: a page has no address of a host"
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_names_of_the_code_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    packages = "runtime|train|export|bench"
    text = page.read_text()
    for path in re.findall(rf"`((?:{packages}|tests|docs|examples)/[\w/.]+\.\w+)`", text):
        assert (ROOT / path).exists(), f"{page.name}: {path}"
    for name in re.findall(rf"`((?:{packages})(?:\.\w+)+)`", text):
        assert resolves(name), f"{page.name}: {name}"


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = ".".join(parts[:end])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                pytest.skip(f"{error.name} is not installed")
            continue
        return end == len(parts) or hasattr(found, parts[end])
    return False


def specified(section: str) -> set[str]:
    """Return the field names in the first table of a section of the specification."""
    text = (ROOT / "docs" / "exported-file.md").read_text()
    table = re.split(rf"^##+ `?{section}`?$", text, flags=re.MULTILINE)[1].split("\n\n|", 1)[1]
    rows = table.split("\n\n")[0].splitlines()
    cells = (row.strip("|").split("|")[0] for row in rows)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("The document", Metadata),
        ("input", InputSpec),
        ("output", OutputSpec),
        ("network", NetworkInfo),
        ("training", TrainingInfo),
        ("encoder", EncoderInfo),
        ("parity", Parity),
        ("conversion", Conversion),
        ("Checksums", Checksums),
    ],
)
def test_the_specification_has_every_field(section: str, kind: type) -> None:
    assert specified(section) == {field.name for field in fields(kind)}


def test_the_specification_has_every_field_of_the_golden_pair() -> None:
    module = importlib.import_module(Golden.__module__)
    (document,) = (value for name, value in vars(module).items() if name == "_Document")
    assert specified("Golden pair") == {field.name for field in fields(document)}


def test_every_limit_has_its_value() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    limits = re.findall(r"^\| .* \| ([^|]+) \| `(runtime\.[\w.]+)`.*\|$", text, re.MULTILINE)
    assert len(limits) >= 15
    units = {"MiB": 1 << 20, "GiB": 1 << 30}
    for stated, name in limits:
        number, _, unit = (
            stated.split(",")[0].replace(" 000", "000").replace(" 536", "536").partition(" ")
        )
        value = 2 ** int(number[2:]) if number.startswith("2^") else int(number)
        module, _, constant = name.rpartition(".")
        expected = getattr(importlib.import_module(module), constant)
        assert value * units.get(unit, 1) == expected, name


def test_every_command_and_subcommand_is_in_the_table() -> None:
    import click

    told = set(
        re.findall(
            r"^\| `([a-z-]+(?: [a-z]+)?)", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE
        )
    )
    scripts = (ROOT / "pyproject.toml").read_text().split("[project.scripts]\n")[1].split("\n\n")[0]
    for name, module, function in re.findall(
        r'^([\w-]+) = "([\w.]+):(\w+)"$', scripts, re.MULTILINE
    ):
        command = getattr(importlib.import_module(module), function)
        names = {name}
        if isinstance(command, click.Group):
            default = getattr(command, "default", None)
            names = {name if sub == default else f"{name} {sub}" for sub in command.commands}
        missing = names - told
        assert not missing


def test_every_page_is_in_the_overview_and_on_the_site() -> None:
    overview = (ROOT / "docs" / "index.md").read_text()
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in overview, page.name
        assert f": {page.name}" in navigation, page.name


def test_the_site_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings"):
        if find_spec(package) is None:
            pytest.skip("the extra [docs] is not installed")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
        timeout=300,
    )
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))
    loading = re.compile(r'(?:src|srcset|<link[^>]* href)="?(?:https?:)?//', re.IGNORECASE)
    for page in pages:
        assert not loading.search(page.read_text()), page.name
        assert 'class="mermaid"' not in page.read_text(), "the theme would load Mermaid from a CDN"


def test_every_benchmark_that_a_page_selects_exists() -> None:
    names = [
        f"{path.stem}::{name}"
        for path in (ROOT / "tests" / "benchmarks").glob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), flags=re.MULTILINE)
    ]
    words = {word for page in PAGES for word in re.findall(r"`[^`]*-k (\w+)`", page.read_text())}
    assert {"decode", "train"} <= words
    for word in words:
        assert any(word in name for name in names), word
