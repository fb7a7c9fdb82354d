"""The public names of packages: one list, imported when used."""

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import runtime

ROOT = Path(__file__).resolve().parents[3]
FACES = ("runtime", "runtime.report", "train", "export", "bench.measure")


@pytest.mark.parametrize("package", FACES)
def test_the_names_are_those_that_a_parser_finds_in_the_source(package: str) -> None:
    source = (ROOT / package.replace(".", "/") / "__init__.py").read_text()
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    assert len(imports) == len(block.body)
    assert all(alias.name == alias.asname for alias in aliases), "checkers see no other form"
    names = {alias.name for alias in aliases}
    module = importlib.import_module(package)
    assert set(module.__all__) == {name for name in names if not name.startswith("_")}
    assert names <= set(dir(module))


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert runtime.__version__ == version("seg-toolkit")


def test_names_can_be_listed_and_imported_without_loading_their_modules() -> None:
    code = "import runtime, sys; dir(runtime); runtime.__all__; print('numpy' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.strip() == "False"
    space: dict[str, object] = {}
    exec("from runtime import *", space)
    assert set(runtime.__all__) <= space.keys()
