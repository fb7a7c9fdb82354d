"""Backends: numbers are compared before time, and each failure has its reason."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.backends.candidate
from bench.backends.backend import REFERENCE, Backend, BackendLimits
from bench.backends.compare import _inputs, compare_backends
from bench.backends.result import BackendComparison, BackendResult
from bench.workers.process import Worker
from runtime.core.errors import ConfigError, ModelError, SegmentationError
from runtime.model.timing import WARM_UP_ROUNDS
from tests.support.inline_workers import use_inline_workers
from tests.support.model_builder import ModelBuilder

SIZE = (32, 48)
LIMITS = ("runs", "seconds", "tolerance", "limit_s")
Compare = Callable[..., BackendComparison]


def fakes(**entries: str) -> list[Backend]:
    """Return backends of `fake_backends`, the reference among them."""
    entries = {REFERENCE: "open_mean", **entries}
    return [
        Backend(name, f"tests.support.fake_backends:{entry}") for name, entry in entries.items()
    ]


@pytest.fixture(scope="module")
def network(build_onnx: ModelBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_onnx(tmp_path_factory.mktemp("network") / "network.onnx")


@pytest.fixture
def processes() -> None:
    """Backends run in processes of their own, as those that crash or hang have to."""


@pytest.fixture
def compare(
    network: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Compare:
    if "processes" not in request.fixturenames:
        use_inline_workers(monkeypatch)
        monkeypatch.setattr(time, "perf_counter", time.perf_counter)  # the backends change it

    def call(*backends: Backend, **options: Any) -> BackendComparison:
        limits = {name: options.pop(name) for name in LIMITS if name in options}
        settings: dict[str, Any] = {"size": SIZE, "threads": 1, **options}
        settings["limits"] = BackendLimits(**{"runs": 1, **limits})
        return compare_backends(network, backends=backends, **settings)

    return call


def find(result: BackendComparison, name: str) -> BackendResult:
    (backend,) = (backend for backend in result.backends if backend.name == name)
    return backend


def test_times_are_compared_round_by_round(compare: Compare) -> None:
    result = compare(*fakes(slow="open_slow", fast="open_fast", uneven="open_uneven"), runs=8)
    assert result.rounds == 8
    assert not result.interrupted
    assert (result.height, result.width, result.threads) == (*SIZE, 1)
    assert [backend.name for backend in result.backends] == [REFERENCE, "slow", "fast", "uneven"]
    for name, seconds, verdict in (
        (REFERENCE, 0.010, "reference"),
        ("slow", 0.020, "slower"),
        ("fast", 0.004, "faster"),
    ):
        backend = find(result, name)
        assert backend.seconds == pytest.approx([seconds] * 8)
        assert backend.latency_ms.value == pytest.approx(1e3 * seconds)
        assert backend.latency_ms.low == pytest.approx(1e3 * seconds)
        assert backend.verdict == verdict
        assert backend.ratio.value == pytest.approx(seconds / 0.010)
        assert backend.reason == ""
    uneven = find(result, "uneven")
    assert sorted(set(np.round(uneven.seconds, 6))) == [0.009, 0.011]
    assert (uneven.ratio.low, uneven.ratio.high) == pytest.approx((0.9, 1.1))
    assert uneven.verdict == "not ranked"


def test_too_few_rounds_rank_nobody(compare: Compare) -> None:
    backend = find(compare(*fakes(slow="open_slow"), runs=7), "slow")
    assert backend.ratio.value == pytest.approx(2.0)
    assert math.isnan(backend.ratio.low)
    assert backend.verdict == "not ranked"


@pytest.mark.usefixtures("processes")
def test_backends_are_interleaved_in_an_order_that_changes(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.txt"
    monkeypatch.setenv("FAKE_BACKENDS_LOG", str(log))
    compare(*fakes(a="open_mean", b="open_mean"), runs=8)
    lines = log.read_text().splitlines()
    assert lines[1::2] == [line.replace("begin", "end") for line in lines[::2]], "runs overlap"
    runs = [line.split()[0] for line in lines[::2]]
    opened, timed = runs[:6], runs[6:]
    assert opened == ["0", "0", "1", "1", "2", "2"]
    assert timed[::2] == timed[1::2], "an untimed run comes before each timed one"
    rounds = [tuple(timed[start : start + 6 : 2]) for start in range(0, len(timed), 6)]
    assert len(rounds) == WARM_UP_ROUNDS + 8
    assert all(sorted(order) == ["0", "1", "2"] for order in rounds)
    assert len(set(rounds)) > 1


def test_the_reference_is_opened_first_whatever_the_order(compare: Compare) -> None:
    wrong, reference = Backend("wrong", "tests.support.fake_backends:open_wrong"), *fakes()
    result = compare(wrong, reference)
    assert find(result, "wrong").difference == pytest.approx(0.01, rel=1e-3)
    assert find(result, REFERENCE).difference == 0.0


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("open_wrong", "probabilities differ by more than 0.001"),
        ("open_nan", "probabilities differ by more than 0.001"),
        ("open_other_shape", "wrong output shape: expected [2, 1, 32, 48], found [2, 32, 48]"),
        ("open_failing", "unexpected RuntimeError: no \\x1b[2J kernel for 32x48"),
    ],
)
def test_a_backend_without_the_right_numbers_is_not_timed(
    compare: Compare, entry: str, reason: str
) -> None:
    assert_not_timed(compare, entry, reason)


@pytest.mark.usefixtures("processes")
def test_a_backend_that_crashes_is_not_timed(compare: Compare) -> None:
    assert_not_timed(compare, "open_crashing", "its process ended with SIGSEGV (about to crash)")


def assert_not_timed(compare: Compare, entry: str, reason: str) -> None:
    """A backend is a row with its reason, and another is timed."""
    result = compare(*fakes(odd=entry, slow="open_slow"))
    odd = find(result, "odd")
    assert odd.reason == reason
    assert odd.seconds == ()
    assert odd.verdict == "not ranked"
    assert math.isnan(odd.latency_ms.value)
    assert math.isnan(odd.ratio.value)
    assert find(result, "slow").seconds == pytest.approx([0.020])


def test_the_tolerance_decides(compare: Compare) -> None:
    near = find(compare(*fakes(near="open_near")), "near")
    assert near.difference == pytest.approx(1e-4, rel=1e-2)
    assert near.difference < BackendLimits().tolerance
    assert near.reason == ""
    refused = find(compare(*fakes(near="open_near"), tolerance=5e-5), "near")
    assert refused.reason == "probabilities differ by more than 5e-05"


def test_a_backend_that_is_not_installed_is_a_row(compare: Compare) -> None:
    absent = Backend(
        "absent",
        "tests.support.fake_backends:open_mean",
        ("json", "no_such_module"),
        ("no-such-dist",),
    )
    backend = find(compare(*fakes(), absent), "absent")
    assert backend.reason == "no_such_module is not installed; install the extra [backends]"
    assert backend.versions == {}
    assert math.isnan(backend.difference)


@pytest.mark.usefixtures("processes")
def test_a_backend_that_crashes_in_a_round_keeps_its_samples_but_is_not_ranked(
    compare: Compare,
) -> None:
    result = compare(*fakes(breaks="open_crashing_later", slow="open_slow"), runs=8)
    breaks = find(result, "breaks")
    assert "SIGABRT" in breaks.reason
    assert breaks.seconds == pytest.approx([0.010] * 2)
    assert math.isnan(breaks.ratio.value)
    assert math.isnan(breaks.latency_ms.value)
    assert len(find(result, "slow").seconds) == 8


@pytest.mark.usefixtures("processes")
def test_a_backend_that_hangs_is_ended_and_the_others_continue(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(Worker):
        def ask(self, command: str, **request: Any) -> dict[str, Any]:
            if "hanging" in request.get("entry", ""):
                self._limit_s = 0.5
            return super().ask(command, **request)

    monkeypatch.setattr(bench.backends.candidate, "Worker", Impatient)
    result = compare(*fakes(hangs="open_hanging", slow="open_slow"))
    assert find(result, "hangs").reason == "gave no answer within 0.5 s"
    assert len(find(result, "slow").seconds) == 1


@pytest.mark.usefixtures("processes")
def test_without_the_reference_there_is_nothing_to_compare_with(compare: Compare) -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot run it: unexpected RuntimeError: no "):
        compare(Backend(REFERENCE, "tests.support.fake_backends:open_failing"))
    result = compare(
        Backend(REFERENCE, "tests.support.fake_backends:open_crashing_later"),
        *fakes(slow="open_slow")[1:],
        runs=8,
    )
    assert result.rounds == 3
    assert "SIGABRT" in find(result, REFERENCE).reason
    assert find(result, "slow").ratio.value == pytest.approx(2.0)


def test_rounds_end_with_the_time(compare: Compare) -> None:
    result = compare(*fakes(slow="open_slow"), runs=1000, seconds=1e-6)
    assert result.rounds == 1
    assert [len(backend.seconds) for backend in result.backends] == [1, 1]


def test_all_backends_share_the_time(compare: Compare) -> None:
    """A round takes 10 and 20 ms, and as much for the runs that are not timed."""
    result = compare(*fakes(slow="open_slow"), runs=1000, seconds=0.6)
    spent = sum(sum(backend.seconds) for backend in result.backends)
    assert 0.25 < spent < 0.35


def test_backends_are_compared_on_a_scan_and_on_noise() -> None:
    scan, noise = _inputs(SIZE)
    np.testing.assert_array_equal(scan[0], scan[1])  # gray
    assert np.abs(noise[0] - noise[1]).mean() > 0.25
    assert 0.0 <= noise.min() < 0.1 < 0.9 < noise.max() <= 1.0


def test_an_interruption_keeps_the_rounds_so_far(compare: Compare) -> None:
    asked = iter([False, False, False, True])
    result = compare(*fakes(slow="open_slow"), runs=8, stop=lambda: next(asked))
    assert result.interrupted
    assert result.rounds == 2
    assert [len(backend.seconds) for backend in result.backends] == [2, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runs": 0}, "runs: expected 1 or more"),
        ({"seconds": 0.0}, "seconds: expected more than 0"),
        ({"tolerance": math.nan}, "tolerance: expected more than 0"),
        ({"limit_s": -1.0}, "limit_s: expected more than 0"),
        ({"size": None}, "does not state its input's size"),
        ({"threads": 0}, "expected 1 to 256 threads"),
    ],
)
def test_settings_out_of_range_are_refused(
    compare: Compare, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SegmentationError, match=words):
        compare(*fakes(), **options)


def test_the_reference_has_to_take_part(compare: Compare) -> None:
    with pytest.raises(ConfigError, match="onnxruntime is missing"):
        compare(Backend("slow", "tests.support.fake_backends:open_slow"))
