"""Verifying an exported file: is it unchanged, and does it compute its certified numbers here?"""

import re
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import ConfigError, ProviderError, SegmentationError
from runtime.core.machine import installed_versions
from runtime.model.checksums import (
    Checksums,
    checksums_of,
    digest_of,
    stated_checksums,
    weight_changes,
)
from runtime.model.golden import GOLDEN_KEY, Difference, parse_golden
from runtime.model.metadata import KEY, parse_metadata
from runtime.model.onnx_file import Parts, read_parts
from runtime.model.predictor import Predictor
from runtime.model.provider_choice import ProviderChoice
from runtime.model.providers import CPU, ProviderRequest
from runtime.model.replay import replay_golden
from runtime.model.sessions import Engine


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a file.

    Attributes:
        name: "metadata", "golden pair", "graph", "weights", "certificate", "digest" or "replay".
        found: the result in words.
    """

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The results of a file's checks.

    Attributes:
        digest: SHA-256 over graph and weights, as `OnnxFile.digest`.
        contents_digest: SHA-256 over graph, weights, metadata and golden pair
            (`checksums.digest_of`).
        checks: in the order in which they were made.
        difference: to the golden probabilities; None if the pair could not be replayed.
        versions: of the libraries of the replay.
        engine: what computed the replay; None if the pair could not be replayed.
        choice: how the provider "auto" was resolved; None for another request.
    """

    path: str
    digest: str
    contents_digest: str
    checks: tuple[Check, ...]
    difference: Difference | None
    versions: dict[str, str]
    engine: Engine | None
    choice: ProviderChoice | None

    @property
    def passed(self) -> bool:
        """True if every check passed."""
        return all(check.passed for check in self.checks)


def verify(
    path: str | Path,
    *,
    threads: int | None = None,
    provider: str | ProviderRequest = CPU,
    contents_digest: str | None = None,
) -> Verification:
    """Compare a file with its own checksums and certificate, and replay its golden pair.

    Args:
        threads: of the computation; by default the cores that the process may use.
        provider: that replays the pair, as for `Predictor`. In another arithmetic than float32 the
            tolerance is that of `allowed_difference`.
        contents_digest: as the file's author publishes it, or its first 8 or more digits; not
            compared by default.

    Raises:
        ConfigError: `contents_digest` is not one.
        ProviderError: the provider is not available.
        ModelError: the file cannot be read, or was not written by `export-onnx`.
    """
    expected = contents_digest
    if expected is not None and not re.fullmatch("[0-9a-fA-F]{8,64}", expected):
        raise ConfigError(f"digest: expected 8 to 64 hexadecimal digits, found {expected[:80]!r}")
    file = Path(path)
    parts = read_parts(file, each_weight=True)
    stated, found = stated_checksums(parts, str(file)), checksums_of(parts)
    checks = [
        _same("metadata", stated.metadata == found.metadata),
        _same("golden pair", stated.golden == found.golden),
        _same("graph", stated.structure == found.structure),
        _weights(stated, found),
        _certificate(parts, str(file)),
    ]
    actual = digest_of(found)
    if expected is not None:
        agrees = actual.startswith(expected.lower())
        checks.append(Check("digest", agrees, f"{actual}, expected {expected}"))
    request = provider if isinstance(provider, ProviderRequest) else ProviderRequest(provider)
    replay, difference, predictor = _replay(file, parts, threads, request)
    return Verification(
        path=str(file),
        digest=parts.digest,
        contents_digest=actual,
        checks=(*checks, replay),
        difference=difference,
        versions=installed_versions("onnxruntime", "numpy", "pillow"),
        engine=None if predictor is None else predictor.engine,
        choice=None if predictor is None else predictor.choice,
    )


def _same(name: str, same: bool) -> Check:
    return Check(name, same, "matches its checksum" if same else "changed since the export")


def _weights(stated: Checksums, found: Checksums) -> Check:
    changes = weight_changes(stated.weights, found.weights)
    return Check("weights", not changes, changes or f"{len(found.weights)} match their checksums")


def _certificate(parts: Parts, where: str) -> Check:
    try:
        parity = parse_metadata(parts.properties.get(KEY, ""), where).parity
    except SegmentationError as error:
        return Check("certificate", False, str(error))
    if parity is None:
        return Check("certificate", False, "missing from the metadata")
    same = parity.digest == parts.digest
    return Check(
        "certificate",
        same,
        "issued for this graph and these weights"
        if same
        else f"issued for digest {parity.digest or 'unknown'}, the file's is {parts.digest}",
    )


def _replay(
    file: Path, parts: Parts, threads: int | None, request: ProviderRequest
) -> tuple[Check, Difference | None, Predictor | None]:
    try:
        golden = parse_golden(parts.properties.get(GOLDEN_KEY, ""), str(file))
        predictor = Predictor(file, threads=threads, provider=request, verify=False)
        replay = replay_golden(predictor, golden)
    except ProviderError:
        raise
    except SegmentationError as error:
        return Check("replay", False, str(error)), None, None
    return (
        Check("replay", replay.passed, f"{replay}, to {golden.reference}"),
        replay.difference,
        predictor,
    )
