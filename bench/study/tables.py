"""The tables of a study, as header and rows, for every report that shows them."""

import math

from bench.study.evidence import best_baseline
from bench.study.result import NetworkResult, SplitResult, StudyResult
from runtime.metrics import STUDY_METRICS
from runtime.report.cells import DASH, Cell, Table, decimals, p_value
from runtime.scoring.bootstrap import Interval
from runtime.scoring.comparison import Summary
from runtime.scoring.evaluation import Evaluation

LABELS = {"accuracy": "accuracy", "recall": "recall", "precision": "precision", "iou": "IoU"}
"""The names of the study's metrics, as people write them."""
_DIFFERENCES: tuple[Summary, ...] = ("per image", "standard deviation", "per image at 0.5")


def scores_table(split: SplitResult) -> Table:
    """Return the scores of every network and baseline on the test images of one split."""
    header = ("network", *(LABELS[m] for m in STUDY_METRICS), "pooled IoU", "IoU at 0.5")
    rows: list[list[object]] = []
    for network in split.networks:
        means = [interval_cell(network.means[metric]) for metric in STUDY_METRICS]
        rows.append([network.network, *means, *_pooled_and_thresholded(network.evaluation)])
    for baseline in split.baselines:
        means = _means(baseline)
        rows.append([f"baseline: {baseline.name}", *means, *_pooled_and_thresholded(baseline)])
    return header, rows


def calibration_table(split: SplitResult) -> Table:
    """Return the calibration error and the Brier score of each network and baseline."""
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
            differences = [
                interval_cell(pair.find(test.metric, kind).difference, signed=True)
                for kind in _DIFFERENCES
            ]
            p_values = p_value(test.p_value), p_value(test.p_holm)
            rows.append([name, LABELS[test.metric], *differences, *p_values])
    return header, rows


def leak_table(result: StudyResult) -> Table:
    """Return the soft IoU that each network and baseline loses on the grouped split."""
    header = ("network or baseline", "original split", "grouped split", "lost", "lost, share")
    rows: list[list[object]] = []
    for leak in result.leaks:
        share = leak.lost.value / leak.original if leak.original else None
        percent = Cell(DASH) if share is None else Cell(f"{100 * share:.0f} %", share)
        lost = interval_cell(leak.lost, signed=True)
        rows.append([leak.network, three(leak.original), three(leak.grouped), lost, percent])
    return header, rows


def cost_table(result: StudyResult) -> Table:
    """Return the size, the latency and the training time of each network."""
    header = (
        *("network", "parameters, M", "trained parameters, M", "GMACs", "file, MB"),
        *("p50, ms", "p90, ms", "epochs", "training, s", "images/s"),
    )
    return header, [_costs(network) for network in result.splits[0].networks]


def _costs(network: NetworkResult) -> list[object]:
    file, latency, run = network.file, network.latency, network.trained
    row: list[object] = [
        network.network,
        decimals(file.parameters / 1e6, 2),
        decimals(run.trained_parameters / 1e6 if run else None, 2),
        decimals(file.macs / 1e9, 2),
        decimals(file.file_bytes / 1e6, 1),
        decimals(latency.p50_ms, 1),
        decimals(latency.p90_ms, 1),
    ]
    if run is None:
        return [*row, None, None, None]
    seconds = sum(epoch.seconds for epoch in run.history)
    rate = sorted(epoch.images_per_s for epoch in run.history)[len(run.history) // 2]
    return [*row, len(run.history), decimals(seconds, 0), decimals(rate, 1)]


def readme_table(result: StudyResult) -> Table:
    """Return the README's table: each trained network and the best baseline, on both splits."""
    header = (
        *("split", "network", *(LABELS[metric] for metric in STUDY_METRICS[:3])),
        *("IoU [95 % interval]", "IoU at 0.5", "parameters", "GMACs"),
    )
    rows: list[list[object]] = []
    for split in result.splits:
        for network in split.networks:
            if network.trained is None:
                continue
            *means, iou = (network.means[metric] for metric in STUDY_METRICS)
            scores = [*(three(mean.value) for mean in means), interval_cell(iou)]
            costs = [f"{network.file.parameters / 1e6:.2f} M", decimals(network.file.macs / 1e9, 2)]
            at_half = _thresholded(network.evaluation)
            rows.append([split.kind, network.network, *scores, at_half, *costs])
        baseline = best_baseline(split.baselines)
        name = f"best baseline: {baseline.name}"
        rows.append([split.kind, name, *_means(baseline), _thresholded(baseline), "", Cell("")])
    return header, rows


def _means(evaluation: Evaluation) -> list[Cell]:
    return [three(evaluation.soft.per_image[metric].mean) for metric in STUDY_METRICS]


def _pooled_and_thresholded(evaluation: Evaluation) -> list[Cell]:
    return [three(evaluation.soft.pooled.iou), _thresholded(evaluation)]


def _thresholded(evaluation: Evaluation) -> Cell:
    return three(evaluation.thresholded.per_image["iou"].mean)


def three(value: float) -> Cell:
    """Return a score with three decimals.

    Example:
        >>> str(three(0.41439))
        '0.414'
    """
    return decimals(value, 3)


def interval_cell(interval: Interval, *, signed: bool = False) -> Cell:
    """Return a value with its interval, or a dash where the value is undefined.

    Example:
        >>> str(interval_cell(Interval(0.4144, 0.3895, 0.4391)))
        '0.414 [0.390, 0.439]'
        >>> str(interval_cell(Interval(0.012, -0.006, 0.031), signed=True))
        '+0.012 [-0.006, +0.031]'
    """
    if math.isnan(interval.value):
        return Cell(DASH)
    sign = "+" if signed else ""
    ends = f"{interval.low:{sign}.3f}, {interval.high:{sign}.3f}"
    return Cell(f"{interval.value:{sign}.3f} [{ends}]", interval.value)
