"""The examples in the docstrings of the four packages."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("runtime", "train", "export", "bench")


def modules_with_examples() -> list[str]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
        if ">>> " in path.read_text()
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in PACKAGES:
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_at_least_40_public_functions_and_classes_have_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = set()
    for name in modules_with_examples():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        found |= {test.name for test in finder.find(module) if test.examples}
    public = {name for name in found if not name.rpartition(".")[2].startswith("_")}
    assert len(public) >= 40, sorted(public)
