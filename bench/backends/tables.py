"""A comparison of backends as a table, for the terminal and as Markdown."""

import math

from bench.backends.backend import REFERENCE
from bench.backends.result import BackendResult, BackendsResult
from runtime.report.cells import DASH, markdown_table
from runtime.scoring.bootstrap import Interval

HEADER = (
    "backend",
    "version",
    "largest difference",
    "latency, ms (95 %)",
    f"time / {REFERENCE} (99 %)",
    "verdict",
)


def backends_rows(result: BackendsResult) -> list[list[str]]:
    """Return a row for each backend: by time, those that have a reason last."""

    def place(backend: BackendResult) -> tuple[bool, float]:
        return bool(backend.reason), 0.0 if backend.reason else backend.ratio.value

    return [_row(backend) for backend in sorted(result.backends, key=place)]


def conditions(result: BackendsResult) -> str:
    """Return what the figures depend on, in a sentence or two."""
    machine = result.machine
    until = ", then stopped" if result.interrupted else ""
    return (
        f"Batch 1, {result.height}x{result.width}, threads: {result.threads}, rounds: "
        f"{result.rounds}{until}. {machine.processor}, {machine.cores} cores of it usable, "
        f"{machine.system}, Python {machine.versions['python']}. Probabilities may differ by "
        f"{result.tolerance:g} from those of {REFERENCE} on the same inputs."
    )


def backends_markdown(result: BackendsResult) -> str:
    """Return the comparison as a Markdown page."""
    title = f"# {result.path.replace(chr(92), '/').rpartition('/')[2]} in several runtimes"
    table = markdown_table(HEADER, backends_rows(result))
    digests = [f"SHA-256 of the file: `{result.digest}`."]
    others = (backend for backend in result.backends if backend.digest != result.digest)
    digests += [f"SHA-256 of {backend.name}: `{backend.digest}`." for backend in others]
    return "\n\n".join([title, table, conditions(result), *digests]) + "\n"


def _row(backend: BackendResult) -> list[str]:
    return [
        backend.name,
        ", ".join(dict.fromkeys(backend.versions.values())) or DASH,
        DASH
        if math.isnan(backend.difference)
        else f"{backend.difference:.1e}".replace("0.0e+00", "0"),
        _interval(backend.latency_ms, 1),
        "1" if backend.verdict == "reference" else _interval(backend.ratio, 3),
        backend.reason or backend.verdict,
    ]


def _interval(interval: Interval, digits: int) -> str:
    if math.isnan(interval.value):
        return DASH
    ends = [f"{end:.{digits}f}" for end in (interval.low, interval.high) if not math.isnan(end)]
    return f"{interval.value:.{digits}f}" + (f" [{', '.join(ends)}]" if ends else "")
