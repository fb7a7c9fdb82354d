"""The layers: a package or room imports only from those below its own, and only when it is used."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("runtime", "train", "export", "bench")
ROOMS = ("core", "metrics", "data", "model", "scoring", "distributed", "report", "cli")
REPORT = {"jinja2", "markupsafe", "matplotlib", "scipy"}
VOLUMES = {"nibabel", "pydicom", "highdicom"}
CLUSTER = {"dask", "distributed"}
ABOVE_RUNTIME = (
    {"torch", "torchvision", "onnx", "onnxscript", "safetensors"} | REPORT | VOLUMES | CLUSTER
)


def imported_modules(path: Path) -> set[str]:
    """Return the dotted names of imported modules, and of what is imported from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(path)}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_package_imports_only_from_the_layers_below(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    files = list((ROOT / layer).rglob("*.py"))
    assert files
    for path in files:
        assert not imported_packages(path) & above, path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_runtime_imports_only_from_the_rooms_below(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    home = ROOT / "runtime" / room
    files = list(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    assert files
    for path in files:
        names = [name.split(".") for name in imported_modules(path)]
        found = {name[1] for name in names if name[0] == "runtime" and len(name) > 1}
        assert found <= allowed, path


def test_each_module_of_the_runtime_is_in_a_room() -> None:
    modules = {path.stem for path in (ROOT / "runtime").glob("*.py")}
    packages = {path.parent.name for path in (ROOT / "runtime").glob("*/__init__.py")}
    assert modules - {"__init__"} | packages == set(ROOMS)


def test_the_runtime_imports_nothing_that_a_plain_install_lacks() -> None:
    extras = {
        ROOT / "runtime/report": REPORT,
        ROOT / "runtime/data/volumes": VOLUMES,
        ROOT / "runtime/scoring": {"scipy"},
        ROOT / "runtime/distributed": CLUSTER,
    }
    for path in (ROOT / "runtime").rglob("*.py"):
        allowed = next((names for room, names in extras.items() if room in path.parents), set())
        assert not imported_packages(path) & (ABOVE_RUNTIME - allowed), path


def test_only_a_command_that_makes_a_page_imports_the_reports() -> None:
    for path in (ROOT / "runtime").rglob("*.py"):
        inside = path.is_relative_to(ROOT / "runtime" / "report")
        if not inside and path != ROOT / "runtime" / "cli" / "data.py":
            assert "runtime.report" not in path.read_text(), path


def printed_by(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return run.stdout


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    return set(printed_by(code).split())


def test_importing_the_runtime_loads_neither_torch_nor_onnx_nor_onnxruntime() -> None:
    everything = "import runtime\nfor name in runtime.__all__: getattr(runtime, name)"
    assert not loaded_after(everything) & (ABOVE_RUNTIME | {"onnxruntime"})


COMMANDS = (
    "runtime.cli.data",
    "runtime.cli.predict",
    "runtime.cli.evaluate",
    "train.cli",
    "train.config",
    "runtime.cli.config_options",
    "export.cli",
    "export.inspection.cli",
    "export.page.cli",
    "bench.cli",
    "bench.study.cli",
)


@pytest.fixture(scope="module")
def loaded_by_commands() -> dict[str, set[str]]:
    """What each command's module loads after those before it, all in one process."""
    code = f"""if True:
        import importlib, json, sys
        loaded, before = {{}}, {{*sys.modules}}
        for module in {COMMANDS}:
            importlib.import_module(module)
            loaded[module] = sorted({{name.split(".")[0] for name in {{*sys.modules}} - before}})
            before = {{*sys.modules}}
        print(json.dumps(loaded))"""
    return {module: {*names} for module, names in json.loads(printed_by(code)).items()}


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_loads_nothing_heavy_before_it_runs(
    module: str, loaded_by_commands: dict[str, set[str]]
) -> None:
    heavy = ABOVE_RUNTIME | {"onnxruntime", "numpy", "PIL"}
    assert not loaded_by_commands[module] & heavy


def test_measuring_files_and_showing_what_they_cost_loads_no_torch() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("matplotlib")
    modules = "bench.measure.run, bench.measure.worker, bench.frontier.page, export.inspection.file"
    assert not loaded_after(f"import {modules}") & {"torch", "torchvision"}


@pytest.mark.parametrize(
    "package", ["runtime", "runtime.report", "train", "export", "bench.measure"]
)
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    modules = {path.stem for path in (ROOT / package.replace(".", "/")).glob("*.py")}
    assert not modules & set(module.__all__), "a submodule hides a name as soon as it is imported"
    for name in module.__all__:
        home = getattr(module, name)
        assert home.__doc__ or not callable(home), f"{package}.{name} has no docstring"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
