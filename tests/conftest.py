"""What tests share: a small phantom set, a network trained on it, the real data set.

For benchmarks: the machine beside the figures, and the files to measure.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.core.machine import describe_machine
from runtime.core.schema import to_dict
from runtime.data.coco import Dataset, read_dataset
from runtime.data.phantom import PhantomConfig, make_phantom
from tests.support.browser import Browser, find_chromium
from tests.support.made_once import MadeOnce
from tests.support.model_builder import ModelBuilder

if TYPE_CHECKING:
    import onnx

    from tests.support.quick_conversion import Convert
    from tests.support.study_fixture import Finished

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
SHARED = Path(os.environ.get("SEG_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    return MadeOnce(tmp_path_factory)


@pytest.fixture(scope="session")
def phantom(made_once: MadeOnce) -> Path:
    """A phantom data set of 16, 4 and 4 images of 64x64."""
    config = PhantomConfig(train=8, valid=2, test=2, slices=2, size=64)
    return made_once("data", lambda folder: make_phantom(folder / "phantom", config)) / "phantom"


@pytest.fixture(scope="session")
def phantom_data(phantom: Path) -> Dataset:
    return read_dataset(phantom)


@pytest.fixture(scope="session")
def run_folder(phantom: Path, made_once: MadeOnce) -> Path:
    """A run of the scratch network, width 4, 32x32, two epochs on the phantom set."""

    def train(folder: Path) -> None:
        pytest.importorskip("torch")
        from train.config import demo_config
        from train.run import train_network

        config = demo_config(str(phantom), "scratch", width=4, size=32, epochs=2, threads=1)
        train_network(config, folder / "tiny", cache=folder / "cache")

    return made_once("run", train) / "tiny"


@pytest.fixture(scope="session")
def converted_run(run_folder: Path, made_once: MadeOnce) -> "onnx.ModelProto":
    """That run's network as a graph, before anything is added, which no test changes."""
    pytest.importorskip("onnxscript")
    import onnx

    def convert_run(folder: Path) -> None:
        from export.conversion import convert
        from runtime.model.metadata import InputSpec
        from train.checkpoint import build_network, load_checkpoint

        network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
        onnx.save(convert([network], InputSpec(32, 32, multiple=16)), folder / "graph.onnx")

    return onnx.load(made_once("graph", convert_run) / "graph.onnx")


@pytest.fixture(scope="session")
def model(
    run_folder: Path, converted_run: "onnx.ModelProto", phantom: Path, made_once: MadeOnce
) -> Path:
    """That graph as an exported file."""

    def export(folder: Path) -> None:
        from export.onnx_export import export_checkpoints
        from export.request import ExportRequest

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("export.pipeline.convert", lambda *_: converted_run)
            best = run_folder / "best.pt"
            export_checkpoints(ExportRequest([best], folder / "tiny.onnx", data=phantom))

    return made_once("model", export) / "tiny.onnx"


@pytest.fixture(scope="session")
def quick_convert(converted_run: "onnx.ModelProto") -> "Convert":
    """What stands for a conversion, which takes seconds, in tests of what follows it."""
    from tests.support.quick_conversion import quick_conversion

    return quick_conversion(converted_run)


@pytest.fixture(scope="module")
def quick_exports(quick_convert: "Convert") -> Iterator[None]:
    """Exports of networks from scratch take no time for the conversion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.pipeline.convert", quick_convert)
        yield


@pytest.fixture
def no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn without the layout that takes longest."""
    pytest.importorskip("matplotlib")
    from tests.support.without_layout import leave_out_layout

    leave_out_layout(monkeypatch)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """At the limit of recursion, finalizers of what other tests left would fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """A shell's background, where the tests may run, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def real_root() -> Path:
    """The real data set, which a user's clone doesn't have."""
    root = SHARED / "data" / "tumorseg"
    if not root.is_dir():
        pytest.skip(f"the real data set is not at {root} (SEG_SHARED names its parent folder)")
    return root


@pytest.fixture(scope="session")
def real_data(real_root: Path) -> Dataset:
    return read_dataset(real_root)


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """ImageNet weights of ResNet50, which a user's clone doesn't have."""
    path = SHARED / "weights" / "resnet50_imagenet1k.safetensors"
    if not path.is_file():
        pytest.skip(
            f"the ResNet50 weights are not at {path} (SEG_SHARED names their parent folder)"
        )
    return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser to look at pages with, which not every machine has."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium is on the path (SEG_CHROMIUM names one)")
    with Browser(executable, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, quick_convert: "Convert") -> "Finished":
    """A whole study, as small as one can be that has enough test images for intervals."""
    from tests.support.study_fixture import make_study

    config = PhantomConfig(train=16, valid=4, test=24, slices=1, size=64)
    data = make_phantom(tmp_path_factory.mktemp("data") / "phantom", config)
    return make_study(data, tmp_path_factory.mktemp("study"), quick_convert)


@pytest.fixture(scope="session")
def build_onnx() -> ModelBuilder:
    onnx = pytest.importorskip("onnx")

    def build(
        path: Path,
        *,
        shape: Sequence[int | str] = ("batch", 3, "height", "width"),
        channels: int = 1,
        activation: str = "Sigmoid",
        metadata: dict[str, str] | None = None,
        external: bool = False,
    ) -> Path:
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(channels, 3, 1, 1)).astype(np.float32)
        nodes = [
            onnx.helper.make_node("Conv", ["pixels", "weights"], ["hidden"]),
            onnx.helper.make_node(activation, ["hidden"], ["map"]),
        ]
        graph = onnx.helper.make_graph(
            nodes,
            "tiny",
            [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
            [
                onnx.helper.make_tensor_value_info(
                    "map", onnx.TensorProto.FLOAT, [shape[0], channels, *shape[2:]]
                )
            ],
            [onnx.numpy_helper.from_array(weights, "weights")],
        )
        opset = onnx.helper.make_opsetid("", 20)
        proto = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.helper.set_model_props(proto, metadata or {})
        if external:
            onnx.save(
                proto,
                path,
                save_as_external_data=True,
                location=f"{path.name}.data",
                size_threshold=0,
            )
        else:
            path.write_bytes(proto.SerializeToString())
        return path

    return build


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """What is imported stays: to look through it for garbage would take a tenth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # else some libraries report leaks


LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="more faults and more load, as make faults and make load",
    )


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether a test is to take its time."""
    return bool(pytestconfig.getoption("long"))


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config, long: bool) -> Callable[[str], None]:
    """Takes what a long test or a benchmark has found, to be told at the end."""
    is_told = long or pytestconfig.getoption("benchmark_only")
    return pytestconfig.stash.setdefault(LINES, []).append if is_told else lambda _: None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)


LONGEST = (
    "tests/export/",
    "tests/bench/study/",
    "tests/train/test_faults.py",
    "tests/train/test_run.py",
    "tests/runtime/test_real_data.py",
    "tests/bench/sweep/test_run.py",
    "tests/test_no_network.py",
    "tests/test_fuzz.py",
    "tests/test_docs.py",
    "tests/runtime/report/test_data_report.py",
    "tests/bench/measure/test_run.py",
    "tests/train/test_objective.py",
    "tests/bench/backends/test_installed_backends.py",
)
"""What takes longest, and so runs first: else one worker would be busy when others are done.

One worker takes all tests of a folder that is listed here: it makes the study once, and the first
conversion of a process costs as much as two later ones.
"""


def scope_of(nodeid: str) -> str:
    """Return what a worker of pytest-xdist takes as a whole: a file, or a folder of `LONGEST`."""
    return scope_of_file(nodeid.split("::")[0])


@cache
def scope_of_file(file: str) -> str:
    folders = (place for place in LONGEST if place.endswith("/") and file.startswith(place))
    return next(folders, file)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the benchmarks to `pytest --benchmark-only`, and put what takes longest first."""
    if config.getoption("benchmark_only"):
        return
    measured = [item for item in items if item.nodeid.startswith("tests/benchmarks/")]
    config.hook.pytest_deselected(items=measured)
    places = {scope: place for place, scope in enumerate(LONGEST)}
    items[:] = sorted(
        (item for item in items if not item.nodeid.startswith("tests/benchmarks/")),
        key=lambda item: places.get(scope_of(item.nodeid), len(places)),
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, hand out the scopes in the order of `LONGEST`."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    gone = [place for place in LONGEST if not (config.rootpath / place).exists()]
    assert not gone, f"LONGEST in tests/conftest.py names what is not there: {gone}"
    config.option.loadscopereorder = False  # those with the most tests would come first
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope_of
    return scheduler


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    machine_info["seg_toolkit"] = to_dict(describe_machine())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "exported" in metafunc.fixturenames:
        files: list[Path | None] = [*sorted(ARTIFACTS.glob("*.onnx"))]
        names = [path.name for path in files if path is not None]
        metafunc.parametrize("exported", files or [None], ids=names or ["generated"], indirect=True)


@pytest.fixture(scope="session")
def exported(request: pytest.FixtureRequest) -> Path:
    """Each file in artifacts/, or a small generated one where there is none."""
    path: Path | None = request.param
    return path or request.getfixturevalue("model")


@pytest.fixture(scope="session", params=[8, 64], ids=lambda width: f"width {width}")
def random_network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file w8.onnx or w64.onnx of the network from scratch, 256x256, with random weights."""
    torch, onnx = pytest.importorskip("torch"), pytest.importorskip("onnx")
    from export.conversion import convert
    from runtime.model.metadata import InputSpec
    from train.network import UNet

    path = tmp_path_factory.mktemp("network") / f"w{request.param}.onnx"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", request.param).eval()
    onnx.save(convert([network], InputSpec(256, 256, multiple=16)), path)
    return path


@pytest.fixture(scope="session")
def full_size_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of 640x640 a split, the size of the real scans."""
    config = PhantomConfig(train=1, valid=1, test=1, slices=4, size=640)
    return make_phantom(tmp_path_factory.mktemp("data") / "phantom", config)
