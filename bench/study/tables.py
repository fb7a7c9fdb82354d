"""The tables of a study, as header and rows, for the page, the Markdown and the README alike."""

import math
from collections.abc import Sequence

from bench.study.figures import LABELS
from bench.study.result import Exported, SplitResult, StudyResult
from runtime.metrics import STUDY_METRICS
from runtime.report.cells import DASH, Cell, decimals, p_value
from runtime.scoring.comparison import Interval, Kind
from runtime.scoring.evaluation import Evaluation

Table = tuple[Sequence[str], list[list[object]]]

_SHOWN: tuple[Kind, ...] = ("per image", "standard deviation", "per image at 0.5")

KINDS = {"original": "the data set's own split", "grouped": "the grouped split"}


def scores_table(split: SplitResult) -> Table:
    """Return the scores of every network and baseline on one split's test images."""
    header = ("network", *(LABELS[m] for m in STUDY_METRICS), "pooled IoU", "IoU at 0.5")
    rows: list[list[object]] = []
    for network in split.networks:
        means = [interval_cell(network.means[metric]) for metric in STUDY_METRICS]
        rows.append([network.network, *means, *_beside(network.evaluation)])
    for baseline in split.baselines:
        each = [baseline.soft.per_image[metric].mean for metric in STUDY_METRICS]
        rows.append([f"baseline: {baseline.name}", *map(three, each), *_beside(baseline)])
    return header, rows


def _beside(evaluation: Evaluation) -> list[object]:
    decided = evaluation.thresholded.per_image["iou"].mean
    return [three(evaluation.soft.pooled.iou), three(decided)]


def calibration_table(split: SplitResult) -> Table:
    """Return how far each network's, and baseline's, probabilities can be trusted."""
    header = ("network", "expected calibration error", "Brier score")
    named = [(n.network, n.evaluation) for n in split.networks]
    named += [(f"baseline: {baseline.name}", baseline) for baseline in split.baselines]
    return header, [[name, e.calibration.ece, e.calibration.brier] for name, e in named]


def comparison_table(split: SplitResult) -> Table:
    """Return the paired differences of every pair of networks."""
    header = ("networks", "metric", "mean", "standard deviation", "mean at 0.5", "p", "p, Holm")
    rows: list[list[object]] = []
    for evidence in split.evidence:
        pair = evidence.comparison
        name = f"{pair.other} \N{MINUS SIGN} {pair.one}"
        for test in evidence.tests:
            found = [
                interval_cell(pair.find(test.metric, kind).difference, signed=True)
                for kind in _SHOWN
            ]
            p_values = p_value(test.p_value), p_value(test.p_holm)
            rows.append([name, LABELS[test.metric], *found, *p_values])
    return header, rows


def leak_table(result: StudyResult) -> Table:
    """Return what each network and baseline loses in soft IoU on the grouped split."""
    header = ("network or baseline", "original split", "grouped split", "lost", "lost, share")
    rows: list[list[object]] = []
    for leak in result.leaks:
        share = leak.lost.value / leak.original if leak.original else None
        percent = Cell(DASH) if share is None else Cell(f"{100 * share:.0f} %", share)
        lost = interval_cell(leak.lost, signed=True)
        rows.append([leak.network, three(leak.original), three(leak.grouped), lost, percent])
    return header, rows


def cost_table(result: StudyResult) -> Table:
    """Return what each network costs."""
    header = ("network", "parameters, M", "of them trained, M", "GMACs", "file, MB", "p50, ms",
              "p90, ms", "epochs", "training, s", "images/s")  # fmt: skip
    rows: list[list[object]] = []
    for network in result.splits[0].networks:
        file, latency, run = network.file, network.latency, network.trained
        row: list[object] = [network.network, decimals(file.parameters / 1e6, 2)]
        row.append(decimals(run.trained_parameters / 1e6 if run else None, 2))
        row += [decimals(file.macs / 1e9, 2), decimals(file.file_bytes / 1e6, 1)]
        row += [decimals(latency.p50_ms, 1), decimals(latency.p90_ms, 1)]
        if run is None:
            row += [None, None, None]
        else:
            seconds = sum(epoch.seconds for epoch in run.history)
            rate = sorted(epoch.images_per_s for epoch in run.history)[len(run.history) // 2]
            row += [len(run.history), decimals(seconds, 0), decimals(rate, 1)]
        rows.append(row)
    return header, rows


def readme_table(result: StudyResult) -> Table:
    """Return the table that the README shows."""
    header = ("split", "network", "accuracy", "recall", "precision", "IoU (95 % interval)",
              "pooled IoU", "IoU at 0.5", "ECE", "parameters", "MACs", "file")  # fmt: skip
    rows: list[list[object]] = []
    for split in result.splits:
        for network in split.networks:
            means = network.means
            rows.append(
                [
                    split.kind,
                    network.network,
                    *(three(means[metric].value) for metric in STUDY_METRICS[:3]),
                    interval_cell(means["iou"]),
                    *_columns(network.evaluation),
                    *_size(network.file),
                ]
            )
        for baseline in split.baselines:
            mean = baseline.soft.per_image
            soft = [three(mean[metric].mean) for metric in STUDY_METRICS]
            rows.append([split.kind, f"*{baseline.name}*", *soft, *_columns(baseline), "", "", ""])
    return header, rows


def _columns(evaluation: Evaluation) -> list[object]:
    iou = evaluation.thresholded.per_image["iou"].mean
    return [three(v) for v in (evaluation.soft.pooled.iou, iou, evaluation.calibration.ece)]


def _size(file: Exported) -> list[object]:
    return [
        f"{file.parameters / 1e6:.2f} M",
        f"{file.macs / 1e9:.2f} G",
        f"{file.file_bytes / 1e6:.1f} MB",
    ]


def three(value: float) -> Cell:
    """Write a score with three decimals."""
    return decimals(value, 3)


def interval_cell(interval: Interval, *, signed: bool = False) -> Cell:
    """Write a value with its interval: "0.414 [0.390, 0.439]"."""
    if math.isnan(interval.value):
        return Cell(DASH)
    sign = "+" if signed else ""
    ends = f"{interval.low:{sign}.3f}, {interval.high:{sign}.3f}"
    return Cell(f"{interval.value:{sign}.3f} [{ends}]", interval.value)
