"""What the figures allow to say about the study's hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.metrics import STUDY_METRICS
from runtime.report.two_sample import holm
from runtime.scoring.comparison import Bootstrap, Comparison, Difference, Kind, compare, soft_values
from runtime.scoring.evaluation import Evaluation

Verdict = Literal["supported", "not supported", "undecided"]

JUDGED = "iou"
"""The metric that decides a hypothesis; the others are reported beside it."""
_READINGS: dict[Kind, str] = {"per image": "soft {}", "per image at 0.5": "{} at 0.5"}


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test of one soft metric (Wilcoxon 1945), two-sided.

    Attributes:
        units: groups of images whose mean difference was ranked.
        p_value: NaN where no unit differs.
        p_holm: adjusted for the metrics that were tested together (Holm 1979).
    """

    metric: str
    units: int
    statistic: float
    p_value: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis, what the figures allow to say of it, and why, in one sentence."""

    claim: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two networks compared on one split.

    Attributes:
        tests: one for each of the study's metrics.
    """

    comparison: Comparison
    tests: tuple[SignedRank, ...]


def gather(
    one: Evaluation, other: Evaluation, groups: Sequence[int], bootstrap: Bootstrap
) -> Evidence:
    """Compare two networks by intervals and by rank.

    Args:
        groups: of each image; Wilcoxon's test takes independent differences, so that the mean
            difference of a group counts once.

    Raises:
        ConfigError: the evaluations are of different images.
    """
    from scipy.stats import wilcoxon

    owner = np.unique(np.asarray(groups), return_inverse=True)[1]
    tests = []
    for metric in STUDY_METRICS:
        difference = soft_values(other, metric) - soft_values(one, metric)
        defined = ~np.isnan(difference)
        counts = np.bincount(owner, defined)
        sums = np.bincount(owner, np.where(defined, difference, 0.0))
        units = sums[counts > 0] / counts[counts > 0]
        if np.any(units):
            result = wilcoxon(units)
            tests.append((metric, units.size, float(result.statistic), float(result.pvalue)))
        else:
            tests.append((metric, units.size, float("nan"), float("nan")))
    adjusted = holm([test[3] for test in tests])
    return Evidence(
        compare(one, other, bootstrap),
        tuple(SignedRank(*test, p) for test, p in zip(tests, adjusted, strict=True)),
    )


def judge(*differences: Difference) -> Verdict:
    """Say whether `other` is above `one`: only where every interval lies on one side of 0."""
    if all(difference.difference.low > 0.0 for difference in differences):
        return "supported"
    if all(difference.difference.high < 0.0 for difference in differences):
        return "not supported"
    return "undecided"


def valuable(
    networks: Sequence[Evaluation], baselines: Sequence[Evaluation], bootstrap: Bootstrap
) -> Hypothesis:
    """Judge the first hypothesis: both kinds of network reach valuable performance.

    The study names no limit. A network is valuable here when it is above the best baseline, which
    knows next to nothing, in soft IoU and in IoU at 0.5 alike: a baseline that copies a mask is
    certain everywhere, and a soft metric alone would hold a network's doubts against it. Supported
    when this holds for each network; not supported when one of them is below the baseline in both.
    """
    baseline = max(baselines, key=lambda f: f.soft.per_image[JUDGED].mean)
    verdicts: list[Verdict] = []
    parts = []
    for network in networks:
        found = compare(baseline, network, bootstrap)
        readings = [found.find(JUDGED, kind) for kind in _READINGS]
        verdicts.append(judge(*readings))
        soft, decided = map(_signed, readings)
        parts.append(f"{network.name} {soft}, at 0.5 {decided}")
    verdict: Verdict = "supported"
    if "not supported" in verdicts:
        verdict = "not supported"
    elif "undecided" in verdicts:
        verdict = "undecided"
    reason = (
        f"Soft IoU minus that of the best baseline ({baseline.name}, "
        f"{baseline.soft.per_image[JUDGED].mean:.3f}), and the same at 0.5: {'; '.join(parts)}."
    )
    return Hypothesis("Both kinds of network reach valuable performance.", verdict, reason)


def better(evidence: Evidence) -> Hypothesis:
    """Judge the second hypothesis: transfer learning improves on the network trained anew.

    Decided where soft IoU and IoU at 0.5 agree, since the first also rewards being certain.
    """
    comparison = evidence.comparison
    readings = [comparison.find(JUDGED, kind) for kind in _READINGS]
    soft, decided = map(_signed, readings)
    beside = [
        f"{title.format(metric)} {_signed(difference)}"
        for metric in STUDY_METRICS
        if metric != JUDGED
        for kind, title in _READINGS.items()
        if judge(difference := comparison.find(metric, kind)) != "undecided"
    ]
    reason = (
        f"IoU of {comparison.other} minus that of {comparison.one}: soft {soft}, at 0.5 {decided}; "
        + (
            f"other metrics whose interval excludes 0: {'; '.join(beside)}."
            if beside
            else "no other metric's interval excludes 0."
        )
    )
    claim = "Transfer learning improves on the network trained anew."
    return Hypothesis(claim, judge(*readings), reason)


def narrower(evidence: Evidence) -> Hypothesis:
    """Judge the study's finding that the pretrained network's scores are spread less."""
    comparison = evidence.comparison
    difference = comparison.find(JUDGED, "standard deviation")
    opposite: dict[Verdict, Verdict] = {
        "supported": "not supported",
        "not supported": "supported",
        "undecided": "undecided",
    }
    reason = (
        f"Standard deviation of soft IoU over images, {comparison.other} minus {comparison.one}: "
        f"{_signed(difference)}."
    )
    claim = "The pretrained network's scores are distributed more narrowly."
    return Hypothesis(claim, opposite[judge(difference)], reason)


def _signed(difference: Difference) -> str:
    interval = difference.difference
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
