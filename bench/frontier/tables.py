"""The tables of a measurement, as header and rows, for the terminal, the Markdown and the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.frontier.dominance import Standing, find_standings
from bench.measure.result import BenchResult, ModelResult
from bench.measure.stages import STAGES
from runtime.report.cells import DASH, Cell, decimals, percent

Table = tuple[Sequence[str], list[list[object]]]

_PHASES = ("import", "session", "first_run", "steady", "peak", "trimmed", "weights", "arena",
           "peak_without_arena")  # fmt: skip


def short_names(result: BenchResult) -> dict[str, str]:
    """Return what each file is called in a table, by its path: its name, where only it has it."""
    names = Counter(Path(model.path).name for model in result.models)
    return {
        model.path: name if names[name := Path(model.path).name] == 1 else model.path
        for model in result.models
    }


def frontier_table(result: BenchResult) -> Table:
    """Return each file's accuracy beside what it costs, and whether another dominates it."""
    header = ("network", "input", "soft IoU (95 % interval)", "p50, ms (95 % interval)",
              "peak memory, MB", "GMACs", "parameters, M", "file, MB", "standing")  # fmt: skip
    names, standings = short_names(result), find_standings(result)
    rows: list[list[object]] = []
    for model in result.models:
        rows.append(
            [
                names[model.path],
                "x".join(map(str, model.size)) if model.size else DASH,
                iou_cell(model),
                _median(model),
                scaled((model.memory_bytes or {}).get("peak"), 1e6, 0),
                scaled(model.macs, 1e9, 2),
                scaled(model.parameters, 1e6, 2),
                scaled(model.file_bytes, 1e6, 1),
                standing_text(standings.get(model.path), names),
            ]
        )
    return header, rows


def latency_table(result: BenchResult) -> Table:
    """Return latency, throughput by batch, what of the machine that is, and start-up."""
    batches = sorted({int(b) for model in result.models for b in model.throughput_per_s or {}})
    header = ["network", "p50, ms", "p90, ms", "p99, ms", "mean, ms", "runs"]
    header += [f"images/s, batch {batch}" for batch in batches]
    header += ["GMAC/s", "of float32 matrix product", "start-up, s"]
    rows: list[list[object]] = []
    for model, name in _named(result):
        latency, rates = model.latency_ms, model.throughput_per_s or {}
        times = [latency.p50, latency.p90, latency.p99, latency.mean] if latency else [None] * 4
        rows.append(
            [
                name,
                *(decimals(value, 2) for value in times),
                latency.runs if latency else None,
                *(decimals(rates.get(str(batch)), 1) for batch in batches),
                decimals(model.gmacs_per_s, 1),
                percent(model.matmul_share, 0),
                decimals(model.startup_s, 2),
            ]
        )
    return header, rows


def memory_table(result: BenchResult) -> Table:
    """Return memory by phase, in MB."""
    header = ("network", *(f"{phase.replace('_', ' ')}, MB" for phase in _PHASES))
    rows: list[list[object]] = [
        [name, *(scaled((model.memory_bytes or {}).get(phase), 1e6, 1) for phase in _PHASES)]
        for model, name in _named(result)
    ]
    return header, rows


def stages_table(result: BenchResult) -> Table:
    """Return what one prediction spends its time on, in ms."""
    header = ("network", *(f"{stage.replace('_', '-')}, ms" for stage in STAGES))
    rows: list[list[object]] = [
        [name, *(decimals((model.stages_ms or {}).get(stage), 2) for stage in STAGES)]
        for model, name in _named(result)
    ]
    return header, rows


def rankings_table(result: BenchResult) -> Table:
    """Return which of two files is faster, where the run can tell."""
    header = ("network", "is", "than", "latency, ratio (99 % interval)", "rounds")
    names = short_names(result)
    rows: list[list[object]] = []
    for pair in result.rankings:
        interval = f"{pair.ratio:.3f} [{pair.low:.3f}, {pair.high:.3f}]"
        verdict = pair.verdict if pair.verdict != "not ranked" else "not told apart, too noisy"
        rows.append(
            [names[pair.one], verdict, names[pair.other], Cell(interval, pair.ratio), pair.rounds]
        )
    return header, rows


def failures(result: BenchResult) -> list[str]:
    """Return a sentence for each file of which something is missing."""
    return [
        failure if failure.startswith(model.path) else f"{model.path}: {failure}"
        for model in result.models
        if (failure := model.failure) is not None
    ]


def conditions(result: BenchResult) -> str:
    """Return what the figures depend on, in a sentence or two."""
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    providers = ", ".join(dict.fromkeys(p for model in result.models for p in model.providers))
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    product = "not measured"
    if result.matmul_gmacs_per_s is not None:
        product = f"{result.matmul_gmacs_per_s:.1f} GMAC/s"
    return (
        f"{machine.processor} ({', '.join(machine.instructions)}), {machine.cores} cores, "
        f"{machine.system}; {threads}, {providers or 'no provider'}; {versions}. Matrix product in "
        f"float32: {product}. Run on {result.date}; only figures of one run may be compared."
    )


def _named(result: BenchResult) -> list[tuple[ModelResult, str]]:
    names = short_names(result)
    return [(model, names[model.path]) for model in result.models]


def iou_cell(model: ModelResult) -> Cell:
    """Write soft IoU with its interval."""
    found = model.accuracy
    if found is None:
        return Cell(DASH)
    return Cell(f"{found.iou:.3f} [{found.iou_low:.3f}, {found.iou_high:.3f}]", found.iou)


def _median(model: ModelResult) -> Cell:
    found = model.latency_ms
    if found is None:
        return Cell(DASH)
    return Cell(f"{found.p50:.2f} [{found.low:.2f}, {found.high:.2f}]", found.p50)


def scaled(value: float | None, unit: float, digits: int) -> Cell:
    """Write a number in units of `unit`."""
    return decimals(None if value is None else value / unit, digits)


def standing_text(standing: Standing | None, names: Mapping[str, str]) -> str:
    """Write where a file stands; `names` holds what each is called, by its path."""
    if standing is None:
        return "not compared"
    if not standing.dominated_by:
        return "on the frontier"
    first, *others = standing.dominated_by
    return f"dominated by {names[first]}" + (f" and {len(others)} more" if others else "")
