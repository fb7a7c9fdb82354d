"""Replaying a file's certificate with the runtime alone: is it what was exported, and runs so?"""

from dataclasses import dataclass
from pathlib import Path

from runtime.checksums import Checksums, checksums_of, stated_checksums, weight_changes
from runtime.errors import SegmentationError
from runtime.golden import GOLDEN_KEY, Difference, golden_input, parse_golden
from runtime.images import to_input
from runtime.machine import installed_versions
from runtime.metadata import KEY, parse_metadata
from runtime.onnx_file import Parts, read_parts
from runtime.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: "metadata", "golden pair", "graph", "weights", "certificate", "digest" or "replay".
        found: in words.
    """

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a file's checks.

    Attributes:
        digest: SHA-256 over graph and weights, as `OnnxFile.digest`.
        checks: in the order in which they were made.
        difference: to the golden probabilities; None where it was not replayed.
        versions, providers, threads: what replayed it.
    """

    path: str
    digest: str
    checks: tuple[Check, ...]
    difference: Difference | None
    versions: dict[str, str]
    providers: tuple[str, ...]
    threads: int | None

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def verify(
    path: str | Path, *, threads: int | None = None, digest: str | None = None
) -> Verification:
    """Compare a file with its own checksums and certificate, and replay its golden pair.

    Args:
        threads: of the computation; by default the cores that the process may use.
        digest: SHA-256 that the file's author publishes, or its beginning; compared where given.

    Raises:
        ModelError: the file cannot be read, or was not written by `export-onnx`.
    """
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
    if digest is not None:
        agrees = len(digest) >= 8 and parts.digest.startswith(digest.lower())
        checks.append(Check("digest", agrees, f"{parts.digest}, expected {digest}"))
    replay, difference, predictor = _replay(file, parts, threads)
    return Verification(
        path=str(file),
        digest=parts.digest,
        checks=(*checks, replay),
        difference=difference,
        versions=installed_versions("onnxruntime", "numpy", "pillow"),
        providers=() if predictor is None else predictor.providers,
        threads=None if predictor is None else predictor.threads,
    )


def _same(name: str, same: bool) -> Check:
    return Check(name, same, "as exported" if same else "changed since it was exported")


def _weights(stated: Checksums, found: Checksums) -> Check:
    changes = weight_changes(stated.weights, found.weights)
    return Check("weights", not changes, changes or f"{len(found.weights)} as exported")


def _certificate(parts: Parts, where: str) -> Check:
    try:
        parity = parse_metadata(parts.properties.get(KEY, ""), where).parity
    except SegmentationError as error:
        return Check("certificate", False, str(error))
    if parity is None:
        return Check("certificate", False, "none in the metadata")
    same = parity.digest == parts.digest
    return Check(
        "certificate",
        same,
        "given for this graph and these weights"
        if same
        else f"given for digest {parity.digest or 'unknown'}, the file's is {parts.digest}",
    )


def _replay(
    file: Path, parts: Parts, threads: int | None
) -> tuple[Check, Difference | None, Predictor | None]:
    try:
        golden = parse_golden(parts.properties.get(GOLDEN_KEY, ""), str(file))
        predictor = Predictor(file, threads=threads)
        pixels = golden_input(golden, predictor.size)
        output = predictor.run(to_input(pixels)[None])[0]
    except SegmentationError as error:
        return Check("replay", False, str(error)), None, None
    difference = golden.difference(output)
    return (
        Check(
            "replay",
            golden.passes(difference),
            f"largest difference {difference.largest:.1e}, mean {difference.mean:.1e}, to "
            f"{golden.reference}; {golden.tolerance.largest:.1e} and {golden.tolerance.mean:.1e} "
            "allowed",
        ),
        difference,
        predictor,
    )
