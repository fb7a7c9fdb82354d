"""Paired comparisons of networks, and what they say about the hypotheses of the study."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from runtime.metrics import STUDY_METRICS
from runtime.report.two_sample import holm
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import (
    Comparison,
    MetricDifference,
    Summary,
    compare_trainings,
    soft_values,
)
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.trainings import MIN_TRAININGS, why_undecided

Verdict = Literal["supported", "not supported", "undecided"]
Subject = Literal["baselines", "transfer", "spread"]

DECISIVE_METRIC = "iou"
"""The metric that decides a hypothesis; the others are reported as well."""
ALPHA = 0.05
"""The level of significance."""
_READINGS: dict[Summary, str] = {"per image": "soft {}", "per image at 0.5": "{} at 0.5"}
_OPPOSITE: dict[Verdict, Verdict] = {
    "supported": "not supported",
    "not supported": "supported",
    "undecided": "undecided",
}


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test of one soft metric (Wilcoxon 1945), two-sided.

    Attributes:
        units: the number of groups of images with a mean difference; the test ranks those that
            differ.
        statistic, p_value: NaN if the test was withheld.
        p_holm: adjusted for the metrics that were tested together (Holm 1979).
        withheld: why there is no test: with so few groups none could be significant.
    """

    metric: str
    units: int
    statistic: float
    p_value: float
    p_holm: float
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis with its verdict.

    Attributes:
        subject: what it is about.
        claim: a sentence without its period.
        reason: the numbers behind the verdict, in one sentence.
        trainings: of each network; fewer than `MIN_TRAININGS` decide nothing, however narrow an
            interval over images is.
    """

    subject: Subject
    claim: str
    verdict: Verdict
    reason: str
    trainings: int

    @property
    def shown(self) -> str:
        """The verdict as it is displayed, with its cause where trainings are too few.

        Example:
            >>> Hypothesis("transfer", "A beats B", "undecided", "", trainings=1).shown
            'undecided: one training'
        """
        why = why_undecided(self.trainings)
        return f"{self.verdict}: {why}" if why else self.verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """A paired comparison of two networks on one split.

    Attributes:
        tests: one for each metric of the study.
    """

    comparison: Comparison
    tests: tuple[SignedRank, ...]


def compare_networks(
    reference: Sequence[Evaluation],
    candidate: Sequence[Evaluation],
    groups: Sequence[int],
    bootstrap: Bootstrap,
) -> Evidence:
    """Return the differences of two networks with their intervals, and the rank tests.

    Args:
        reference: an evaluation of each training; its scores are subtracted.
        candidate: from its scores.
        groups: the group of each image. Wilcoxon's test needs independent differences, so each
            group counts once, with its mean difference over images and trainings.
        bootstrap: of these images.

    Raises:
        ConfigError: the evaluations are of different images.
    """
    tests = [_signed_rank(reference, candidate, metric, groups) for metric in STUDY_METRICS]
    adjusted = holm([test.p_value for test in tests])
    return Evidence(
        compare_trainings(reference, candidate, bootstrap),
        tuple(replace(test, p_holm=p) for test, p in zip(tests, adjusted, strict=True)),
    )


def _signed_rank(
    reference: Sequence[Evaluation],
    candidate: Sequence[Evaluation],
    metric: str,
    groups: Sequence[int],
) -> SignedRank:
    """Return the test of one metric, without its correction."""
    from scipy.stats import wilcoxon

    owner = np.unique(np.asarray(groups), return_inverse=True)[1]
    # Whether a soft metric is defined depends on the mask, which all trainings share, but for
    # the precision of a network that predicts exactly nothing.
    pairs = zip(reference, candidate, strict=True)
    values = [soft_values(other, metric) - soft_values(one, metric) for one, other in pairs]
    difference = np.mean(values, axis=0)
    defined = ~np.isnan(difference)
    counts = np.bincount(owner, defined)
    sums = np.bincount(owner, np.where(defined, difference, 0.0))
    means = sums[counts > 0] / counts[counts > 0]
    withheld = _why_untested(int(np.count_nonzero(means)))
    if withheld is not None:
        return SignedRank(metric, means.size, math.nan, math.nan, math.nan, withheld)
    result = wilcoxon(means)
    return SignedRank(metric, means.size, float(result.statistic), float(result.pvalue), math.nan)


def _why_untested(differing: int) -> str | None:
    """Return why a signed-rank test of so many differing groups says nothing; None if it does.

    With n groups the smallest two-sided p-value is 2^(1 - n): all differences of one sign.
    """
    if differing == 0:
        return "no group differs"
    smallest = 2.0 ** (1 - differing)
    if smallest <= ALPHA:
        return None
    groups = "1 group differs" if differing == 1 else f"{differing} groups differ"
    return f"{groups}, and the smallest possible p-value is {smallest:g}"


def judge(*differences: MetricDifference) -> Verdict:
    """Return what intervals say of "all these differences are positive".

    It is "supported" or "not supported" only where every 95 % interval lies on one side of zero.

    Example:
        >>> from runtime.scoring.intervals import Interval
        >>> from runtime.scoring.comparison import MetricDifference
        >>> interval = Interval(0.1, 0.05, 0.15)
        >>> gain = MetricDifference("iou", "per image", 0.4, 0.5, interval, 40, 40)
        >>> unclear = replace(gain, difference=Interval(0.0, -0.1, 0.1))
        >>> judge(gain), judge(gain, unclear)
        ('supported', 'undecided')
    """
    if all(difference.difference.low > 0.0 for difference in differences):
        return "supported"
    if all(difference.difference.high < 0.0 for difference in differences):
        return "not supported"
    return "undecided"


def _decided(verdict: Verdict, trainings: int) -> Verdict:
    """Return the verdict on a hypothesis: none by fewer trainings than an interval covers."""
    return verdict if trainings >= MIN_TRAININGS else "undecided"


def best_baseline(baselines: Sequence[Evaluation]) -> Evaluation:
    """Return the baseline with the highest mean soft IoU."""
    return max(baselines, key=lambda e: e.soft.per_image[DECISIVE_METRIC].mean)


def judge_baselines(
    networks: Sequence[Sequence[Evaluation]], baselines: Sequence[Evaluation], bootstrap: Bootstrap
) -> Hypothesis:
    """Judge the first hypothesis: both networks beat the best baseline.

    The study speaks of "valuable performance" and names no limit. Here a network must be above the
    best baseline in soft IoU and in IoU at 0.5. The second is needed because a baseline that copies
    a mask is certain everywhere, which soft metrics reward.

    Args:
        networks: the evaluations of each network's trainings.

    Returns:
        "supported" where each network is above the baseline in both, "not supported" where one
        network is below it in both, else "undecided".
    """
    baseline = best_baseline(baselines)
    verdicts: list[Verdict] = []
    parts = []
    for network in networks:
        comparison = compare_trainings([baseline] * len(network), network, bootstrap)
        readings = [comparison.find(DECISIVE_METRIC, kind) for kind in _READINGS]
        verdicts.append(judge(*readings))
        soft, at_half = map(_signed, readings)
        parts.append(f"{network[0].name} {soft}, at 0.5 {at_half}")
    verdict: Verdict = "supported"
    if "not supported" in verdicts:
        verdict = "not supported"
    elif "undecided" in verdicts:
        verdict = "undecided"
    mean = baseline.soft.per_image[DECISIVE_METRIC].mean
    reason = (
        f"Soft IoU minus that of the best baseline ({baseline.name}, {mean:.3f}), and the same at "
        f"0.5: {'; '.join(parts)}."
    )
    trainings = min(len(network) for network in networks)
    claim = "Both networks beat the best baseline"
    return Hypothesis("baselines", claim, _decided(verdict, trainings), reason, trainings)


def judge_transfer(evidence: Evidence) -> Hypothesis:
    """Judge the second hypothesis: the pretrained network beats the one trained from scratch.

    Soft IoU also rewards certainty, so the verdict needs IoU at 0.5 to agree with it.
    """
    comparison = evidence.comparison
    readings = [comparison.find(DECISIVE_METRIC, kind) for kind in _READINGS]
    soft, at_half = map(_signed, readings)
    significant = [
        f"{title.format(metric)} {_signed(difference)}"
        for metric in STUDY_METRICS
        if metric != DECISIVE_METRIC
        for kind, title in _READINGS.items()
        if judge(difference := comparison.find(metric, kind)) != "undecided"
    ]
    others = (
        f"other significant differences: {'; '.join(significant)}."
        if significant
        else "no other metric differs significantly."
    )
    reason = (
        f"IoU of {comparison.candidate} minus that of {comparison.reference}: soft {soft}, "
        f"at 0.5 {at_half}; {others}"
    )
    claim = "The pretrained network beats the network trained from scratch"
    trainings = comparison.trainings
    verdict = _decided(judge(*readings), trainings)
    return Hypothesis("transfer", claim, verdict, reason, trainings)


def judge_spread(evidence: Evidence) -> Hypothesis:
    """Judge the study's finding that the scores of the pretrained network vary less."""
    comparison = evidence.comparison
    difference = comparison.find(DECISIVE_METRIC, "standard deviation")
    reason = (
        f"Standard deviation of soft IoU over images, {comparison.candidate} minus "
        f"{comparison.reference}: {_signed(difference)}."
    )
    claim = "The scores of the pretrained network vary less from image to image"
    verdict = _decided(_OPPOSITE[judge(difference)], comparison.trainings)
    return Hypothesis("spread", claim, verdict, reason, comparison.trainings)


def _signed(difference: MetricDifference) -> str:
    interval = difference.difference
    if interval.withheld is not None:
        return f"withheld ({interval.withheld})"
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
