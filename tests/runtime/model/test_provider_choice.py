"""The provider "auto": what it tries, what it takes, and what it keeps."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.core.errors import ModelError, ProviderError
from runtime.model import provider_choice
from runtime.model.predictor import Predictor
from runtime.model.provider_choice import ProviderChoice, TriedProvider, choose_provider
from runtime.model.providers import ProviderRequest
from runtime.model.stopping_rule import StoppingRule
from tests.support.model_builder import ModelBuilder

AUTO = ProviderRequest("auto")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(provider_choice, "_RULE", StoppingRule.exactly(6))
    return tmp_path / "cache"


@pytest.fixture
def cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_choice, "installed_providers", lambda: ("cpu",))


def choose(model: Path, request: ProviderRequest = AUTO, threads: int = 1) -> ProviderChoice:
    plain = Predictor(model)
    return choose_provider(plain.file, size=plain.size, threads=threads, request=request)


@pytest.mark.usefixtures("cpu_alone")
def test_with_nothing_but_the_cpu_it_is_the_cpu_and_the_choice_is_kept(
    model: Path, cache: Path
) -> None:
    first = choose(model)
    assert first.request == ProviderRequest("cpu")
    assert not first.cached
    (tried,) = first.tried
    assert tried.latency_ms is not None
    assert tried.latency_ms > 0.0
    assert str(first).startswith("auto chose cpu (cpu ")
    second = choose(model)
    assert second.cached
    assert (second.request, second.tried) == (first.request, first.tried)
    assert "as measured by an earlier run" in str(second)
    assert Predictor(model, threads=1, provider="auto").engine.provider == "cpu"

    assert not choose(model, ProviderRequest("auto", max_difference=0.5)).cached
    assert not choose(model, threads=2).cached
    for stored in cache.rglob("*.json"):
        stored.write_text("{}")
    assert [choose(model).cached, choose(model).cached] == [False, True]


@pytest.mark.usefixtures("cpu_alone")
def test_a_provider_outside_the_tolerance_is_not_taken(model: Path) -> None:
    with pytest.raises(ProviderError, match="no provider gives the certified numbers") as e:
        choose(model, ProviderRequest("auto", max_difference=1e-30))
    assert str(e.value).endswith(", more than the accepted 1e-30)")


@pytest.mark.usefixtures("cpu_alone")
def test_the_pair_is_replayed_at_its_own_size_whatever_the_size_asked_for(model: Path) -> None:
    height, width = Predictor(model).size
    wider = Predictor(model, size=(height, 2 * width), threads=1, provider="auto")
    assert wider.size == (height, 2 * width)
    assert wider.engine.provider == "cpu"


def test_a_file_without_a_golden_pair_is_refused(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    foreign = build_onnx(tmp_path / "foreign.onnx", shape=(1, 3, 8, 8))
    with pytest.raises(ModelError, match="auto needs a golden pair, as export-onnx stores it"):
        Predictor(foreign, provider="auto")


def test_providers_that_do_not_work_are_named_and_others_are_taken(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_choice, "installed_providers", lambda: ("cpu", "cuda"))
    choice = choose(model)
    assert choice.request == ProviderRequest("cpu")
    assert "not used: cuda: this provider is not installed" in str(choice)


def test_the_fastest_that_passes_is_taken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = (TriedProvider(ProviderRequest(name), 0.0) for name in ("cpu", "openvino"))
    wrong = TriedProvider(ProviderRequest("cuda"), 0.5, reason="differs")
    runs = SimpleNamespace(run=len, size=(8, 8))
    found = iter([(slow, runs), (fast, runs), (wrong, None)])
    monkeypatch.setattr(provider_choice, "_try", lambda *_: next(found))
    monkeypatch.setattr(provider_choice, "_candidates", lambda _: iter([AUTO] * 3))

    class Timing:
        def __init__(self, runs: list[object], _: object) -> None:
            assert len(runs) == 2

        def run(self) -> None: ...

        def seconds(self, index: int) -> list[float]:
            return [[0.02, 0.03, 0.5], [0.01, 0.011, 0.6]][index]

    monkeypatch.setattr(provider_choice, "InterleavedTiming", Timing)
    choice = choose(model)
    assert choice.request == ProviderRequest("openvino")
    assert [one.latency_ms for one in choice.tried] == pytest.approx([30.0, 11.0, None])


def test_the_choice_belongs_to_the_file(model: Path, tmp_path: Path, cpu_alone: None) -> None:
    copy = Path(shutil.copy(model, tmp_path / "copy.onnx"))
    assert not choose(model).cached
    assert choose(copy).cached  # the same graph and weights
