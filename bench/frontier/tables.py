"""The tables of a measurement, as header and rows, for the terminal, Markdown and the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path

from bench.frontier.dominance import find_dominators
from bench.measure.result import BenchResult, ModelResult, row_name
from bench.measure.stages import STAGES
from runtime.core.progress import counted
from runtime.report.cells import DASH, Cell, Table, decimals, gmacs, percent

_PHASES = (
    "import",
    "session",
    "first_run",
    "steady",
    "peak",
    "trimmed",
    "weights",
    "arena",
    "peak_without_arena",
)
_FRONTIER_HEADER = (
    "network",
    "input",
    "soft IoU (95 % interval)",
    "p50, ms (95 % interval)",
    "peak memory, MB",
    "GMACs",
    "parameters, M",
    "file, MB",
    "Pareto",
)


def short_names(result: BenchResult) -> dict[str, str]:
    """Return the display name of each row by its name: without the folder if that is unique."""
    names = Counter(_short(model) for model in result.models)
    return {
        model.name: name if names[name := _short(model)] == 1 else model.name
        for model in result.models
    }


def _short(model: ModelResult) -> str:
    return row_name(Path(model.path).name, model.request)


def frontier_table(result: BenchResult) -> Table:
    """Return the accuracy and the cost of each file, and which other files dominate it."""
    names, dominators = short_names(result), find_dominators(result)
    rows: list[list[object]] = [
        [
            names[model.name],
            "x".join(map(str, model.size)) if model.size else DASH,
            iou_cell(model),
            _median(model),
            scaled((model.memory_bytes or {}).get("peak"), 1e6, 0),
            gmacs(model.macs),
            scaled(model.parameters, 1e6, 2),
            scaled(model.file_bytes, 1e6, 1),
            pareto_text(dominators.get(model.name), names),
        ]
        for model in result.models
    ]
    return _FRONTIER_HEADER, rows


def latency_table(result: BenchResult) -> Table:
    """Return latency, throughput by batch size, arithmetic rate and start-up time."""
    batches = sorted({int(b) for model in result.models for b in model.throughput_per_s or {}})
    header = ["network", "p50, ms", "p90, ms", "p99, ms", "mean, ms", "runs"]
    header += [f"images/s, batch {batch}" for batch in batches]
    opened = any(model.open_s is not None for model in result.models)  # old results lack it
    header += ["GMAC/s", "relative to float32 matrix product"]
    header += ["open, s", "start-up, s"] if opened else ["start-up, s"]
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
                *([decimals(model.open_s, 2)] if opened else []),
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
    """Return the time of each stage of one prediction, in ms."""
    header = ("network", *(f"{stage.replace('_', '-')}, ms" for stage in STAGES))
    rows: list[list[object]] = [
        [name, *(decimals((model.stages_ms or {}).get(stage), 2) for stage in STAGES)]
        for model, name in _named(result)
    ]
    return header, rows


def rankings_table(result: BenchResult) -> Table:
    """Return the latency ratio of each pair of files, and its verdict."""
    header = ("network", "compared with", "latency ratio (99 % interval)", "rounds", "verdict")
    names = short_names(result)
    rows: list[list[object]] = []
    for pair in result.rankings:
        ratio = _with_interval(pair.ratio, pair.low, pair.high, 3)
        rows.append([names[pair.first], names[pair.second], ratio, pair.rounds, pair.verdict])
    return header, rows


def failures(result: BenchResult) -> list[str]:
    """Return a sentence for each file that was not measured, or not completely."""
    return [f"{model.name}: {model.failure}" for model in result.models if model.failure]


def notes(result: BenchResult) -> list[str]:
    """Return what "auto" chose, and why intervals or batches are missing, in sentences."""
    return [
        *(f"{name}: {model.choice}." for model, name in _named(result) if model.choice),
        *_missing_intervals(result),
        *(
            f"{name} takes {counted(model.fixed_batch, 'image')} at a time, and has no throughput "
            "of other batches."
            for model, name in _named(result)
            if model.fixed_batch is not None
        ),
    ]


def _missing_intervals(result: BenchResult) -> list[str]:
    runs = [m.latency_ms.runs for m in result.models if m.latency_ms and isnan(m.latency_ms.low)]
    rounds = [pair.rounds for pair in result.rankings if isnan(pair.low)]
    if not (runs or rounds):
        return []
    fewest = counted(min(runs + rounds), "run")
    return [
        f"A dash in place of an interval: {fewest} are too few. A median needs 6, the "
        "comparison of two networks 8; a longer --max-seconds gives more."
    ]


def conditions(result: BenchResult) -> str:
    """Return the machine, versions and settings that the figures depend on, in a few sentences."""
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    threads = counted(result.threads, "thread")
    product = "not measured"
    if result.matmul_gmacs_per_s is not None:
        product = f"{result.matmul_gmacs_per_s:.1f} GMAC/s"
    return (
        f"{machine.processor} ({', '.join(machine.instructions)}), {machine.cores} cores, "
        f"{machine.system}; {threads}{_computed_by(result)}; {versions}. Matrix "
        f"product in float32: {product}. Measured on {result.date}. Compare figures of one run "
        "only."
    )


def _computed_by(result: BenchResult) -> str:
    """Return what computed the networks, and which of them, where it was more than one engine."""
    names, rows = short_names(result), dict[str, list[str]]()
    for model in result.models:
        if model.engine is not None:
            rows.setdefault(str(model.engine), []).append(names[model.name])
    if len(rows) < 2:
        return "".join(f", computed by {engine}" for engine in rows)
    each = (f"{engine}: {', '.join(names)}" for engine, names in rows.items())
    return f", computed by {'; by '.join(each)}"


def iou_cell(model: ModelResult) -> Cell:
    """Return soft IoU with its 95 % interval as a cell.

    Example:
        >>> iou_cell(ModelResult("not-scored.onnx")).value is None
        True
    """
    accuracy = model.accuracy
    if accuracy is None:
        return Cell(DASH)
    if accuracy.withheld is not None:
        return Cell(f"{accuracy.iou:.3f} (no interval)", accuracy.iou)
    text = f"{accuracy.iou:.3f} [{accuracy.iou_low:.3f}, {accuracy.iou_high:.3f}]"
    return Cell(text, accuracy.iou)


def scored_on(result: BenchResult) -> str | None:
    """Return the images that accuracy was measured on, in words; None without an accuracy."""
    scored = [model.accuracy for model in result.models if model.accuracy is not None]
    if not scored:
        return None
    first, sizes = scored[0], {accuracy.size for accuracy in scored}
    size = "x".join(map(str, first.size)) if len(sizes) == 1 else "the input size of each network"
    foreground = first.foreground_images
    images = counted(first.images, "image")
    if foreground is not None and foreground < first.images:
        images += f", soft IoU over the {foreground} with foreground"
    groups = "the data set states no groups of similar images"
    if first.image_groups:
        groups = f"{first.groups} groups of similar images or of one patient"
    withheld = f"; no interval, as {first.withheld}" if first.withheld else ""
    return (
        f"{first.data}, split {first.split}: {images}, {groups}, "
        f"masks from {first.masks}, compared at {size}{withheld}"
    )


def scaled(value: float | None, unit: float, digits: int) -> Cell:
    """Return a number in multiples of `unit` as a cell.

    Example:
        >>> print(scaled(1_940_000, 1e6, 2))
        1.94
    """
    return decimals(None if value is None else value / unit, digits)


def pareto_text(dominators: Sequence[str] | None, names: Mapping[str, str]) -> str:
    """Return a file's place relative to the Pareto frontier, in words.

    Args:
        dominators: paths of the files that dominate it; None if it lacks a figure.
        names: display names of files, by path.

    Example:
        >>> pareto_text(["nets/a.onnx", "nets/b.onnx"], {"nets/a.onnx": "a.onnx"})
        'dominated by a.onnx and 1 more'
        >>> pareto_text([], {})
        'on the frontier'
    """
    if dominators is None:
        return "not compared"
    if not dominators:
        return "on the frontier"
    first, *more = dominators
    return f"dominated by {names[first]}" + (f" and {len(more)} more" if more else "")


def _named(result: BenchResult) -> list[tuple[ModelResult, str]]:
    names = short_names(result)
    return [(model, names[model.name]) for model in result.models]


def _median(model: ModelResult) -> Cell:
    latency = model.latency_ms
    if latency is None:
        return Cell(DASH)
    return _with_interval(latency.p50, latency.low, latency.high, 2)


def _with_interval(value: float, low: float, high: float, digits: int) -> Cell:
    """Return a number with its interval as a cell; too few runs give a dash for the interval."""
    ends = DASH if isnan(low) else f"[{low:.{digits}f}, {high:.{digits}f}]"
    return Cell(f"{value:.{digits}f} {ends}", value)
