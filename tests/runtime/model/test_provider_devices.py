"""Providers on this machine: names, packages, broken plugins, and OpenVINO's where it has a device.

OpenVINO's plugin offers its CPU device on Intel's processors alone.
"""

import ctypes.util
import json
import platform
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import onnxruntime
import pytest

from runtime.core.errors import ConfigError, ProviderError
from runtime.model import provider_devices
from runtime.model.predictor import Predictor
from runtime.model.provider_devices import find_provider, installed_providers
from runtime.model.providers import PROVIDERS, Arithmetic, ProviderRequest
from runtime.model.verification import verify


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An installed package `onnxruntime-ep-broken`, whose library is the file that it returns."""
    library = tmp_path / "library.so"
    (tmp_path / "onnxruntime_ep_broken.py").write_text(
        "def get_library_path():\n"
        f"    return {str(library)!r}\n"
        "def get_ep_names():\n"
        "    return ['BrokenExecutionProvider']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return library


def test_a_provider_that_does_not_exist_is_refused_with_the_names_of_the_others() -> None:
    for name in ("nosuch", "no/such", "nv-tensorrt-rtx", ""):
        with pytest.raises(ProviderError, match=f"there is no '{name}'; choose from cpu, openvino"):
            find_provider(name)


def test_a_provider_that_is_not_installed_is_named_with_its_package() -> None:
    missing = [name for name in PROVIDERS if name not in installed_providers()]
    assert missing
    for name in missing:
        if PROVIDERS[name].system not in ("", platform.system()):
            continue
        package = PROVIDERS[name].package
        with pytest.raises(
            ProviderError, match=f"^{name}: .* not installed; pip install {package}$"
        ):
            find_provider(name)


def test_a_provider_of_another_system_is_not_to_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    for name in ("coreml", "directml"):
        with pytest.raises(ProviderError, match=f"^{name}: .* not available for Linux$"):
            find_provider(name)


@pytest.mark.parametrize(
    ("name", "near"), [("OpenVINO", "openvino"), ("AUTO", "auto"), ("tensorRT", "tensorrt")]
)
def test_a_name_that_is_nearly_right_gets_the_right_one(name: str, near: str) -> None:
    with pytest.raises(ProviderError, match=rf"there is no '{name}'; did you mean '{near}'\?$"):
        find_provider(name)


def test_plugins_of_any_name_are_installed_providers(plugin: Path) -> None:
    (plugin.parent / "onnxruntime_ep_of_mine.py").touch()
    assert installed_providers()[-2:] == ("broken", "of-mine")


def test_a_library_that_is_none_is_refused_in_one_sentence(plugin: Path) -> None:
    plugin.write_bytes(b"no library")
    with pytest.raises(
        ProviderError, match=r"^broken: ONNX Runtime \S+ cannot load the library of"
    ):
        find_provider("broken")
    plugin.unlink()
    with pytest.raises(
        ProviderError, match=r"^broken: ONNX Runtime \S+ cannot load the library of"
    ):
        find_provider("broken")


def test_a_library_that_was_cut_is_not_loaded(plugin: Path) -> None:
    """The system would end the process with SIGBUS."""
    record = plugin.parent / "onnxruntime_ep_broken-1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.with_name("METADATA").write_text("Name: onnxruntime-ep-broken\nVersion: 1\n")
    record.write_text(f"{plugin.name},,20\nonnxruntime_ep_broken.py,,\n")
    plugin.write_bytes(b"0123456789")
    with pytest.raises(ProviderError, match=r"library\.so has 10 bytes, 20 were installed"):
        find_provider("broken")


@pytest.mark.parametrize("name", ["with-hyphens", "with_hyphens"])
def test_a_package_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "onnxruntime_ep_with_hyphens.py").write_text("raise OSError('no\\n driver')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ProviderError, match=rf"^{name}: .* of onnxruntime-ep-{name}: no driver$"):
        find_provider(name)


def test_a_plugin_is_imported_only_when_it_is_asked_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_ep_openvino.py").write_text("raise OSError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "onnxruntime_ep_openvino", raising=False)
    monkeypatch.setattr(metadata, "distribution", not_installed)
    assert Predictor(model, threads=1).engine.provider == "cpu"
    assert "openvino" in installed_providers()
    with pytest.raises(ProviderError, match=r"cannot load .*: imported"):
        Predictor(model, threads=1, provider="openvino")


def not_installed(name: str) -> None:
    raise metadata.PackageNotFoundError(name)


def test_a_library_of_something_else_is_refused_in_one_sentence(
    plugin: Path,
) -> None:
    found = ctypes.util.find_library("z")
    if found is None:
        pytest.skip("no shared library is found to stand in for another one")
    plugin.symlink_to(ctypes.CDLL(found)._name)
    with pytest.raises(ProviderError, match="cannot load the library of onnxruntime-ep-broken"):
        find_provider("broken")


def test_a_plugin_without_a_device_says_which_there_are(
    plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda *_: None)
    with pytest.raises(ProviderError, match=r"^broken: it has no device on this machine, .*CPU"):
        find_provider("broken")


def test_the_cpu_provider_computes_in_float32_alone() -> None:
    cpu = find_provider("cpu")
    assert cpu.resolve("default") == cpu.resolve("float32") == "float32"
    with pytest.raises(ProviderError, match="cpu: it cannot be set to compute in bf16"):
        cpu.resolve("bf16")


@pytest.mark.parametrize(
    ("stated", "default", "choices"),
    [
        (("float32",), "float32", ("float32",)),
        (("float32", "bf16"), "bf16", ("float32", "bf16")),
        ((), "default", ("float32", "bf16", "fp16")),
    ],
)
def test_the_default_arithmetic_is_bf16_where_openvino_has_it(
    stated: tuple[Arithmetic, ...], default: str, choices: tuple[str, ...]
) -> None:
    target = provider_devices.Target(PROVIDERS["openvino"], "1", "CPU", stated)
    assert target.resolve("default") == default
    assert target.choices == choices


def test_openvino_gets_a_stream_for_each_image_that_is_computed_at_once(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams share the threads; the names of the properties are OpenVINO's."""
    given = []
    openvino = PROVIDERS["openvino"]

    def options(arithmetic: Arithmetic, threads: int, parallel: int) -> dict[str, str]:
        given.append(dict(openvino.options(arithmetic, threads, parallel) or {}))
        return {}

    cpu = replace(PROVIDERS["cpu"], options=options)
    monkeypatch.setitem(PROVIDERS, "cpu", cpu)
    Predictor(model, threads=4, concurrency=3, provider=ProviderRequest("cpu", "float32"))
    expected = {
        "INFERENCE_NUM_THREADS": "4",
        "NUM_STREAMS": "3",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    assert json.loads(given[-1]["load_config"]) == {"CPU": expected}


def test_auto_takes_no_arithmetic_and_others_take_no_difference() -> None:
    with pytest.raises(ConfigError, match="arithmetic: the provider auto chooses it"):
        ProviderRequest("auto", "bf16")
    with pytest.raises(ConfigError, match="max_difference: only the provider auto takes it"):
        ProviderRequest("openvino", max_difference=0.1)
    with pytest.raises(ConfigError, match="arithmetic: expected one of default, float32"):
        ProviderRequest("openvino", "int8")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_difference: expected a number, found 'x'"):
        ProviderRequest("auto", max_difference="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="strict: expected True or False, found 'yes'"):
        ProviderRequest("openvino", strict="yes")  # type: ignore[arg-type]


def test_a_predictor_without_a_provider_is_refused(model: Path) -> None:
    with pytest.raises(ConfigError, match="provider: expected text, found None"):
        Predictor(model, provider=None)  # type: ignore[arg-type]


def openvino_or_skip() -> None:
    try:
        find_provider("openvino")
    except ProviderError as error:
        pytest.skip(str(error))


def test_openvino_computes_the_certified_numbers_and_says_so(model: Path) -> None:
    openvino_or_skip()
    result = verify(model, provider=ProviderRequest("openvino", "float32", strict=True), threads=1)
    assert result.passed
    assert result.engine is not None
    assert (result.engine.provider, result.engine.arithmetic) == ("openvino", "float32")
    assert result.engine.nodes
    assert not result.engine.cpu_nodes


def test_openvino_predicts_as_the_cpu_provider(model: Path, phantom: Path) -> None:
    openvino_or_skip()
    images = sorted((phantom / "test").glob("*.png"))[:3]
    expected = Predictor(model, threads=2).predict_batch(images)
    request = ProviderRequest("openvino", "float32")
    for batch, concurrency in ((1, 1), (2, 1), (1, 2)):
        predictor = Predictor(
            model, threads=2, provider=request, batch_size=batch, concurrency=concurrency
        )
        found = predictor.predict_batch(images)
        for one, other in zip(found, expected, strict=True):
            assert abs(one - other).max() < 1e-5
