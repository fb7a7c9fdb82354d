"""The provider "auto": what it tries, what it takes, and what it keeps."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

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


@pytest.mark.usefixtures("cpu_alone")
@pytest.mark.parametrize("changed", ["{}", '"nosuch"', '"openvino"'])
def test_a_choice_that_cannot_be_used_is_made_again(model: Path, cache: Path, changed: str) -> None:
    choose(model)
    (stored,) = cache.rglob("*.json")
    text = stored.read_text()
    stored.write_text(text.replace('"cpu"', changed) if changed != "{}" else changed)
    assert [choose(model).cached, choose(model).cached] == [False, True]
    assert choose(model).request == ProviderRequest("cpu")


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
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_ep_my_own.py").write_text("raise OSError('no driver')")
    monkeypatch.syspath_prepend(str(tmp_path))
    choice = choose(model)
    assert choice.request.provider != "my-own"
    assert "my-own: ONNX Runtime" in str(choice)
    assert "cannot load the library of onnxruntime-ep-my-own: no driver" in str(choice)


def chosen_by_times(
    model: Path, monkeypatch: pytest.MonkeyPatch, cpu: list[float], *others: list[float]
) -> ProviderChoice:
    """Choose from providers whose rounds take as many seconds as given; the last is wrong."""
    names = ("cpu", "openvino", "webgpu")[: 1 + len(others)]
    times = dict(zip(names, (cpu, *others), strict=True))
    runs = SimpleNamespace(run=len)
    found: list[tuple[TriedProvider, object]] = [
        (TriedProvider(ProviderRequest(name), 0.0), runs) for name in names
    ]
    found.append((TriedProvider(ProviderRequest("cuda"), 0.5, reason="differs"), None))
    results = iter(found)
    monkeypatch.setattr(provider_choice, "_try", lambda *_: next(results))
    monkeypatch.setattr(provider_choice, "_candidates", lambda _: iter([AUTO] * len(found)))

    class Timing:
        def __init__(self, runs: list[object], _: object) -> None:
            assert len(runs) == len(times)

        def run(self) -> None: ...

        def seconds(self, index: int) -> NDArray[np.float64]:
            return np.array(times[names[index]])

        def failure(self, index: int) -> ModelError | None:
            return None if times[names[index]] else ModelError("no memory")

    monkeypatch.setattr(provider_choice, "InterleavedTiming", Timing)
    return choose(model)


LOAD = np.array([1.0, 1.1, 3.0, 1.2, 1.0, 1.4, 1.0, 2.0, 1.1, 1.0])
"""Slow moments of a machine, which slow every provider of a round."""


def test_the_fastest_that_passes_is_taken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [list(factor * LOAD) for factor in (0.030, 0.012, 0.011)]
    choice = chosen_by_times(model, monkeypatch, *times)
    assert choice.request == ProviderRequest("webgpu")
    medians = [one.latency_ms for one in choice.tried]
    assert medians == pytest.approx([33.0, 13.2, 12.1, None])
    assert "not used: cuda: differs)" in str(choice)


@pytest.mark.parametrize(
    ("ratios", "provider"),
    [
        ([0.984] * 10, "cpu"),  # within the noise
        ([0.94] * 10, "openvino"),
        ([0.94] * 9 + [5.0], "openvino"),  # one slow run decides nothing
        ([0.5] * 5 + [1.0] * 5, "cpu"),
        ([0.94] * 3, "openvino"),  # of a slow network
        ([0.94, 0.94, 0.96], "cpu"),
    ],
)
def test_another_provider_must_be_faster_than_the_cpu_by_a_margin(
    model: Path, monkeypatch: pytest.MonkeyPatch, ratios: list[float], provider: str
) -> None:
    cpu = 0.03 * LOAD[: len(ratios)]
    choice = chosen_by_times(model, monkeypatch, list(cpu), list(cpu * np.array(ratios)))
    assert choice.request.provider == provider
    assert ("openvino: not faster than cpu by 5 %" in str(choice)) == (provider == "cpu")


def test_a_provider_that_fails_while_it_is_timed_is_not_taken(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = chosen_by_times(model, monkeypatch, [0.03] * 10, [])
    assert choice.request == ProviderRequest("cpu")
    assert "not used: openvino: no memory; cuda: differs)" in str(choice)


def test_the_choice_belongs_to_the_file(model: Path, tmp_path: Path, cpu_alone: None) -> None:
    copy = Path(shutil.copy(model, tmp_path / "copy.onnx"))
    assert not choose(model).cached
    assert choose(copy).cached  # the same graph and weights
