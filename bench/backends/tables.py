"""A comparison of backends as a table, for the terminal and as Markdown."""

import math
from pathlib import PureWindowsPath

from bench.backends.backend import REFERENCE
from bench.backends.result import BackendComparison, BackendResult
from runtime.report.cells import DASH, markdown_table
from runtime.scoring.intervals import Interval

HEADER = (
    "backend",
    "version",
    "largest difference",
    "latency, ms (95 % interval)",
    f"time / {REFERENCE} (99 % interval)",
    "verdict",
)


def backends_rows(result: BackendComparison) -> list[list[str]]:
    """Return a row for each backend, fastest first; those that were not compared come last."""

    def position(backend: BackendResult) -> tuple[bool, float]:
        return bool(backend.reason), 0.0 if backend.reason else backend.ratio.value

    return [_row(backend) for backend in sorted(result.backends, key=position)]


def conditions(result: BackendComparison) -> str:
    """Return the machine and the settings that the figures depend on, in a few sentences."""
    machine = result.machine
    stopped = " (stopped early)" if result.interrupted else ""
    return (
        f"Batch 1, input {result.height}x{result.width}, threads: {result.threads}, rounds: "
        f"{result.rounds}{stopped}. {machine.processor} ({machine.cores} usable cores), "
        f"{machine.system}, Python {machine.versions['python']}. Probabilities may differ from "
        f"those of {REFERENCE} by at most {result.tolerance:g}."
    )


def backends_markdown(result: BackendComparison) -> str:
    """Return the comparison as a Markdown page."""
    title = f"# Backends of {PureWindowsPath(result.path).name}"
    table = markdown_table(HEADER, backends_rows(result))
    digests = [f"SHA-256 of the file: `{result.digest}`."]
    variants = (backend for backend in result.backends if backend.digest != result.digest)
    digests += [f"SHA-256 of {variant.name}: `{variant.digest}`." for variant in variants]
    return "\n\n".join([title, table, conditions(result), *digests]) + "\n"


def interval_text(interval: Interval, digits: int) -> str:
    """Return a value with its interval, or a dash if it is undefined.

    Example:
        >>> interval_text(Interval(0.66, 0.641, 0.673), 3)
        '0.660 [0.641, 0.673]'
        >>> interval_text(Interval(0.9, math.nan, math.nan), 1)
        '0.9'
    """
    if math.isnan(interval.value):
        return DASH
    ends = [f"{end:.{digits}f}" for end in (interval.low, interval.high) if not math.isnan(end)]
    return f"{interval.value:.{digits}f}" + (f" [{', '.join(ends)}]" if ends else "")


def _row(backend: BackendResult) -> list[str]:
    return [
        backend.name,
        ", ".join(dict.fromkeys(backend.versions.values())) or DASH,
        _difference_text(backend.difference),
        interval_text(backend.latency_ms, 1),
        "1" if backend.verdict == "reference" else interval_text(backend.ratio, 3),
        backend.reason or backend.verdict,
    ]


def _difference_text(difference: float) -> str:
    if math.isnan(difference):
        return DASH
    return f"{difference:.1e}" if difference else "0"
