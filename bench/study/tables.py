"""The tables of a study, as header and rows, for every report that shows them."""

import math
from collections.abc import Sequence
from statistics import fmean, median

from bench.study.evidence import best_baseline
from bench.study.ranking import rank
from bench.study.result import NetworkResult, NetworkRun, SplitResult, StudyResult
from runtime.metrics import STUDY_METRICS
from runtime.report.cells import DASH, Cell, Table, decimals, gmacs, p_value
from runtime.scoring.comparison import Summary
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import Interval, withheld_notes

LABELS = {"accuracy": "accuracy", "recall": "recall", "precision": "precision", "iou": "IoU"}
"""The names of the study's metrics, as people write them."""
_DIFFERENCES: tuple[Summary, ...] = ("per image", "standard deviation", "per image at 0.5")


def scores_table(split: SplitResult) -> Table:
    """Return the scores of every network and baseline on the test images of one split."""
    header = ("network", *(LABELS[m] for m in STUDY_METRICS), "pooled IoU", "IoU at 0.5")
    rows: list[list[object]] = []
    for network in split.networks:
        means = [interval_cell(network.means[metric]) for metric in STUDY_METRICS]
        rows.append([network.network, *means, *_pooled_and_thresholded(network.evaluations)])
    for baseline in split.baselines:
        means = _means(baseline)
        rows.append([f"baseline: {baseline.name}", *means, *_pooled_and_thresholded([baseline])])
    return header, rows


def calibration_table(split: SplitResult) -> Table:
    """Return the calibration error and the Brier score of each network and baseline."""
    header = ("network", "expected calibration error", "Brier score")
    rows: list[list[object]] = []
    for name, evaluations in _titled(split):
        found = [evaluation.calibration for evaluation in evaluations]
        rows.append([name, fmean(c.ece for c in found), fmean(c.brier for c in found)])
    return header, rows


def ranking_table(split: SplitResult) -> Table:
    """Return every network and baseline, ranked by mean soft IoU, and its distance to the first."""
    header = ("rank", "network", "soft IoU", "minus the first", "images", "IoU at 0.5")
    rows: list[list[object]] = []
    for row in rank(split):
        behind = Cell(DASH) if row.behind is None else interval_cell(row.behind, signed=True)
        iou, at_half = interval_cell(row.iou.mean), interval_cell(row.iou_at_half.mean)
        rows.append([row.rank, row.title, iou, behind, row.images, at_half])
    return header, rows


def files_table(result: StudyResult) -> Table:
    """Return each exported file: digest, difference from PyTorch in float64, what scored it."""
    header = ("file", "digest of graph and weights", "largest difference from PyTorch", "scored by")
    rows: list[list[object]] = []
    for run in _runs(result):
        file = run.file
        difference = Cell(f"{file.max_difference:.1e}", file.max_difference)
        rows.append([file.path, file.digest, difference, _engine(run)])
    return header, rows


def comparison_table(split: SplitResult) -> Table:
    """Return the paired differences of every pair of networks."""
    header = (
        *("networks", "metric", "images", "mean", "standard deviation"),
        *("images at 0.5", "mean at 0.5", "groups", "p", "p, Holm"),
    )
    rows: list[list[object]] = []
    for evidence in split.evidence:
        pair = evidence.comparison
        name = f"{pair.candidate} \N{MINUS SIGN} {pair.reference}"
        for test in evidence.tests:
            mean, deviation, at_half = (pair.find(test.metric, kind) for kind in _DIFFERENCES)
            rows.append(
                [
                    name,
                    LABELS[test.metric],
                    mean.images,
                    interval_cell(mean.difference, signed=True),
                    interval_cell(deviation.difference, signed=True),
                    at_half.images,
                    interval_cell(at_half.difference, signed=True),
                    test.units,
                    p_value(test.p_value),
                    p_value(test.p_holm),
                ]
            )
    return header, rows


def withheld(split: SplitResult) -> list[str]:
    """Return a sentence for each reason why intervals or tests of a split were withheld."""
    named: list[tuple[str, Interval]] = []
    untested: dict[str, list[str]] = {}
    for network in split.networks:
        named += [(f"interval of {network.network}", mean) for mean in network.means.values()]
    for evidence in split.evidence:
        pair = evidence.comparison
        name = f"{pair.candidate} \N{MINUS SIGN} {pair.reference}"
        for metric in STUDY_METRICS:
            for kind in _DIFFERENCES:
                found = pair.find(metric, kind).difference
                named.append((f"{LABELS[metric]} {kind} of {name}", found))
        for test in evidence.tests:
            if test.withheld is not None:
                untested.setdefault(test.withheld, []).append(f"{LABELS[test.metric]} of {name}")
    tests = [f"No p-value, as {why}: {', '.join(names)}." for why, names in untested.items()]
    return [*withheld_notes(named), *tests]


def images_text(split: SplitResult) -> str:
    """Return the test images that the scores of a split are over, in words."""
    images, empty = len(split.groups), split.baselines[0].false_positives.images
    if not empty:
        return f"{images} test images, all with foreground"
    return (
        f"{images - empty} test images with foreground; accuracy, pooled IoU and calibration are "
        f"over all {images}"
    )


def false_positives_table(split: SplitResult) -> Table | None:
    """Return what is predicted on images without foreground; None if there are none."""
    images = split.baselines[0].false_positives.images
    if not images:
        return None
    header = ("network", "images", "false-positive rate", "area at 0.5", "mean probability")
    rows: list[list[object]] = []
    for name, evaluations in _titled(split):
        found = [evaluation.false_positives for evaluation in evaluations]
        means = [fmean(getattr(f, part) for f in found) for part in ("rate", "area", "soft_area")]
        rows.append([name, images, *means])
    return header, rows


def leak_table(result: StudyResult) -> Table:
    """Return the soft IoU that each network and baseline loses on the grouped split."""
    header = ("network or baseline", "original split", "grouped split", "lost", "lost, share")
    rows: list[list[object]] = []
    for leak in result.leaks:
        lost_value = leak.lost.value
        known = leak.original and not math.isnan(lost_value)
        share = lost_value / leak.original if known else None
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


def engines_text(result: StudyResult) -> str:
    """Return all that computed scores, as `seg-eval` states it; the CPU provider in old results."""
    return "; ".join(dict.fromkeys(map(_engine, _runs(result))))


def choices(result: StudyResult) -> list[str]:
    """Return how the provider "auto" chose for each file, in words; empty for another request."""
    return [f"{run.file.path}: {run.choice}." for run in _runs(result) if run.choice is not None]


def devices_text(result: StudyResult) -> str:
    """Return the names of the processors that trained the networks; "" in old results."""
    devices = dict.fromkeys(run.trained.device for run in _runs(result) if run.trained)
    return ", ".join(device for device in devices if device)


def _runs(result: StudyResult) -> list[NetworkRun]:
    return [run for split in result.splits for network in split.networks for run in network.runs]


def _engine(run: NetworkRun) -> str:
    return str(run.engine or "CPU provider")


def _costs(network: NetworkResult) -> list[object]:
    file, latency, run = network.first.file, network.latency, network.first.trained
    row: list[object] = [
        network.network,
        decimals(file.parameters / 1e6, 2),
        decimals(run.trained_parameters / 1e6 if run else None, 2),
        gmacs(file.macs),
        decimals(file.file_bytes / 1e6, 1),
        decimals(latency.p50_ms, 1),
        decimals(latency.p90_ms, 1),
    ]
    if run is None:
        return [*row, None, None, None]
    seconds = fmean(sum(epoch.seconds for epoch in history) for history in network.histories)
    rate = median(epoch.images_per_s for history in network.histories for epoch in history)
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
            if not network.trained:
                continue
            file = network.first.file
            *means, iou = (network.means[metric] for metric in STUDY_METRICS)
            scores = [*(three(mean.value) for mean in means), interval_cell(iou)]
            costs = [f"{file.parameters / 1e6:.2f} M", gmacs(file.macs)]
            at_half = _thresholded(network.evaluations)
            rows.append([split.kind, network.network, *scores, at_half, *costs])
        baseline = best_baseline(split.baselines)
        name = f"best baseline: {baseline.name}"
        rows.append([split.kind, name, *_means(baseline), _thresholded([baseline]), "", Cell("")])
    return header, rows


def _means(evaluation: Evaluation) -> list[Cell]:
    return [three(evaluation.soft.per_image[metric].mean) for metric in STUDY_METRICS]


def _pooled_and_thresholded(evaluations: Sequence[Evaluation]) -> list[Cell]:
    pooled = fmean(evaluation.soft.pooled.iou for evaluation in evaluations)
    return [three(pooled), _thresholded(evaluations)]


def _thresholded(evaluations: Sequence[Evaluation]) -> Cell:
    return three(fmean(e.thresholded.per_image["iou"].mean for e in evaluations))


def _titled(split: SplitResult) -> list[tuple[str, Sequence[Evaluation]]]:
    """Return each network's evaluations, then each baseline's, by a title."""
    named: list[tuple[str, Sequence[Evaluation]]] = [
        (network.network, network.evaluations) for network in split.networks
    ]
    return named + [(f"baseline: {each.name}", [each]) for each in split.baselines]


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
        >>> str(interval_cell(Interval(0.4, math.nan, math.nan, "4 images are too few")))
        '0.400'
    """
    if math.isnan(interval.value):
        return Cell(DASH)
    sign = "+" if signed else ""
    if math.isnan(interval.low):
        return Cell(f"{interval.value:{sign}.3f}", interval.value)
    ends = f"{interval.low:{sign}.3f}, {interval.high:{sign}.3f}"
    return Cell(f"{interval.value:{sign}.3f} [{ends}]", interval.value)
