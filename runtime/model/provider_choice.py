"""The provider "auto": the fastest that reproduces a file's certified numbers on this machine.

Every installed provider, in every arithmetic that can be requested, replays the file's golden pair.
Those that pass are timed for a moment, interleaved. One other than the CPU provider is used only
if it is faster by a margin, beyond the noise of the timing. The choice is cached, for the file, the
machine and the versions that it was made on.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from pathlib import Path

import numpy as np

from runtime.core.errors import DataError, ModelError, OutputError, ProviderError, SegmentationError
from runtime.core.files import user_cache
from runtime.core.json_files import read_json, write_json
from runtime.core.machine import describe_machine
from runtime.core.schema import from_dict, to_dict
from runtime.data.orientation import Size
from runtime.model.golden import GOLDEN_KEY, parse_golden
from runtime.model.onnx_file import OnnxFile, read_parts
from runtime.model.predictor import Predictor
from runtime.model.provider_devices import find_provider, installed_providers
from runtime.model.providers import CPU, ProviderRequest
from runtime.model.replay import replay_golden
from runtime.model.stopping_rule import Doubles, StoppingRule, median_interval
from runtime.model.timing import InterleavedTiming, timed

_RULE = StoppingRule(min_runs=10, max_runs=50, max_seconds=5.0)
_MARGIN = 0.05
"""Share of the CPU provider's time that another one must save: noise must not decide for long."""
_LEVEL = 0.95
"""Level of confidence that it saves as much."""


@dataclass(frozen=True, slots=True)
class TriedProvider:
    """A provider that "auto" tried.

    Attributes:
        request: the provider and its arithmetic.
        largest: largest difference of a probability to the golden pair; None if it did not run.
        latency_ms: median time of one image; None if it was not timed.
        reason: why it cannot be chosen; "" if it can.
    """

    request: ProviderRequest
    largest: float | None = None
    latency_ms: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The choice of "auto" for a file.

    Attributes:
        request: the provider that is used.
        tried: all that were tried, the CPU provider first.
        cached: whether the choice was made by an earlier run.
    """

    request: ProviderRequest
    tried: tuple[TriedProvider, ...]
    cached: bool = False

    def __str__(self) -> str:
        times = [
            f"{one.request.label} {one.latency_ms:.2f} ms"
            for one in sorted(self.tried, key=lambda one: one.latency_ms or 0.0)
            if one.latency_ms is not None
        ]
        refused = [f"{one.request.label}: {one.reason}" for one in self.tried if one.reason]
        source = ", as measured by an earlier run" if self.cached else ""
        return (
            f"auto chose {self.request.label}{source} ({', '.join(times)}"
            + (f"; not used: {'; '.join(refused)}" if refused else "")
            + ")"
        )


def choose_provider(
    file: OnnxFile, *, size: Size, threads: int, request: ProviderRequest
) -> ProviderChoice:
    """Return the fastest provider that reproduces a file's golden pair.

    One other than the CPU provider saves at least 5 % of its time: the upper end of the 95 %
    interval of the median ratio is below 0.95, over rounds that each time all providers. With fewer
    than 6 rounds, the ratio of every round is.

    Args:
        file: a file of `export-onnx`, which has a golden pair.
        size: (height, width) of the network's input.
        threads: of the computation.
        request: of the provider "auto"; its `max_difference` replaces the tolerance of each
            arithmetic, and with `strict` providers that leave nodes to the CPU are not used.

    Raises:
        ModelError: the file has no golden pair, or no provider reproduces it.
        ProviderError: no provider reproduces the pair within the `max_difference` of the request.
    """
    store = _store(file, size, threads, request)
    cached = _read(store)
    if cached is not None and cached.request in _candidates(request):
        return replace(cached, cached=True)
    passed: list[tuple[TriedProvider, Predictor]] = []
    refused: list[TriedProvider] = []
    for candidate in _candidates(request):
        result, predictor = _try(file, size, threads, candidate, request.max_difference)
        if predictor is None:
            refused.append(result)
        else:
            passed.append((result, predictor))
    tried = (*_timed(passed, size), *refused)
    usable = [one for one in tried if not one.reason]
    if not usable:
        reasons = "; ".join(f"{one.request.label}: {one.reason}" for one in tried)
        kind = ModelError if request.max_difference is None else ProviderError
        raise kind(f"{file.path}: no provider gives the certified numbers ({reasons})")
    best = min(usable, key=lambda one: one.latency_ms or 0.0)
    choice = ProviderChoice(best.request, tried)
    with suppress(OutputError):  # it is made again next time
        write_json(store, to_dict(choice))
    return choice


def _candidates(request: ProviderRequest) -> Iterator[ProviderRequest]:
    """Yield the requests to try: every installed provider in its default and other arithmetics."""
    for name in installed_providers():
        yield ProviderRequest(name, strict=request.strict)
        if name == CPU:
            continue
        try:
            target = find_provider(name)
        except ProviderError:
            continue  # the request before says why
        default = target.resolve("default")
        for arithmetic in target.choices:
            if arithmetic != default:
                yield ProviderRequest(name, arithmetic, strict=request.strict)


def _try(
    file: OnnxFile,
    size: Size,
    threads: int,
    candidate: ProviderRequest,
    max_difference: float | None,
) -> tuple[TriedProvider, Predictor | None]:
    """Replay the golden pair, which has the file's own size, and open the network at `size`.

    The predictor is None where the pair does not pass.
    """
    text = read_parts(file.path).properties.get(GOLDEN_KEY)
    if text is None:
        raise ModelError(f"{file.path}: auto needs a golden pair, as export-onnx stores it")
    golden = parse_golden(text, str(file.path))
    try:
        open_at = partial(Predictor, file.path, threads=threads, provider=candidate, verify=False)
        predictor = open_at()
        replay = replay_golden(predictor, golden)
        if predictor.size != size:
            predictor = open_at(size=size)
    except SegmentationError as error:
        reason = str(error).removeprefix(f"{candidate.provider}: ")
        return TriedProvider(candidate, reason=reason), None
    largest = replay.difference.largest
    passed, reason = replay.passed, str(replay)
    if max_difference is not None:
        passed = largest <= max_difference
        reason = f"largest difference {largest:.1e}, more than the accepted {max_difference:g}"
    if not passed:
        return TriedProvider(candidate, largest, reason=reason), None
    return TriedProvider(candidate, largest), predictor


def _timed(passed: list[tuple[TriedProvider, Predictor]], size: Size) -> Iterator[TriedProvider]:
    """Yield the providers with their times, and the reason of those that save too little."""
    image = np.random.default_rng(0).random((1, 3, *size), np.float32)
    runs = [timed(partial(predictor.run, image), untimed=1) for _, predictor in passed]
    timing = InterleavedTiming(runs, _RULE)
    timing.run()
    cpu: Doubles | None = None
    for index, (one, _) in enumerate(passed):
        seconds, failure = timing.seconds(index), timing.failure(index)
        if failure is not None:
            yield replace(one, reason=str(failure))
            continue
        if one.request.provider == CPU:
            cpu = seconds
        slow = one.request.provider != CPU and cpu is not None and not _saves(seconds / cpu)
        reason = f"not faster than cpu by {100 * _MARGIN:g} %" if slow else ""
        yield replace(one, latency_ms=float(np.median(seconds)) * 1e3, reason=reason)


def _saves(ratios: Doubles) -> bool:
    """Return whether times, relative to the CPU provider's in the same round, are low enough."""
    _, high = median_interval(ratios, _LEVEL)
    return (float(ratios.max()) if isnan(high) else high) < 1.0 - _MARGIN


def _store(file: OnnxFile, size: Size, threads: int, request: ProviderRequest) -> Path:
    """Return the file that holds the choice for all that it depends on."""
    facts = {
        "rule": [to_dict(_RULE), _MARGIN, _LEVEL],
        "digest": file.digest,
        "size": size,
        "threads": threads,
        "request": to_dict(request),
        "machine": to_dict(describe_machine()),
        "providers": [_version(name) for name in installed_providers()],
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return user_cache() / "providers" / f"{key}.json"


def _version(name: str) -> str:
    try:
        return f"{name} {find_provider(name).version}"
    except ProviderError as error:
        return f"{name}: {error}"


def _read(store: Path) -> ProviderChoice | None:
    """Return a stored choice; None if there is none, or it cannot be read."""
    if not store.is_file():
        return None
    try:
        content = read_json(store, error=DataError)
        return from_dict(ProviderChoice, content, where=str(store), error=DataError)
    except DataError:
        return None
