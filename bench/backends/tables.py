"""A comparison of peers as a table, for the terminal and as Markdown."""

import math

from bench.backends.backend import REFERENCE
from bench.backends.result import PeerResult, PeersResult
from runtime.report.cells import DASH, markdown_table
from runtime.scoring.comparison import Interval

HEADER = (
    "peer",
    "version",
    "largest difference",
    "latency, ms (95 %)",
    f"time / {REFERENCE} (99 %)",
    "verdict",
)


def peers_rows(result: PeersResult) -> list[list[str]]:
    """Return a row for each peer: by time, those that have a reason last."""

    def place(peer: PeerResult) -> tuple[bool, float]:
        return bool(peer.reason), 0.0 if peer.reason else peer.ratio.value

    return [_row(peer) for peer in sorted(result.peers, key=place)]


def conditions(result: PeersResult) -> str:
    """Return what the figures depend on, in a sentence or two."""
    machine = result.machine
    until = ", then stopped" if result.interrupted else ""
    return (
        f"Batch 1, {result.height}x{result.width}, threads: {result.threads}, rounds: "
        f"{result.rounds}{until}. {machine.processor}, {machine.cores} cores of it usable, "
        f"{machine.system}, Python {machine.versions['python']}. Probabilities may differ by "
        f"{result.tolerance:g} from those of {REFERENCE} on the same inputs."
    )


def peers_markdown(result: PeersResult) -> str:
    """Return the comparison as a Markdown page."""
    title = f"# {result.path.replace(chr(92), '/').rpartition('/')[2]} in several runtimes"
    table = markdown_table(HEADER, peers_rows(result))
    digests = [f"SHA-256 of the file: `{result.digest}`."]
    others = (peer for peer in result.peers if peer.digest != result.digest)
    digests += [f"SHA-256 of {peer.name}: `{peer.digest}`." for peer in others]
    return "\n\n".join([title, table, conditions(result), *digests]) + "\n"


def _row(peer: PeerResult) -> list[str]:
    return [
        peer.name,
        ", ".join(dict.fromkeys(peer.versions.values())) or DASH,
        DASH if math.isnan(peer.difference) else f"{peer.difference:.1e}".replace("0.0e+00", "0"),
        _interval(peer.latency_ms, 1),
        "1" if peer.verdict == "reference" else _interval(peer.ratio, 3),
        peer.reason or peer.verdict,
    ]


def _interval(interval: Interval, digits: int) -> str:
    if math.isnan(interval.value):
        return DASH
    ends = [f"{end:.{digits}f}" for end in (interval.low, interval.high) if not math.isnan(end)]
    return f"{interval.value:.{digits}f}" + (f" [{', '.join(ends)}]" if ends else "")
