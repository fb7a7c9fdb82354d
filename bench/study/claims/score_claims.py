"""Claims i and j: what the paper reads off its test scores and their histograms."""

from dataclasses import replace

from bench.study.claims.claim import Claim, Measure
from bench.study.evidence import Evidence
from runtime.metrics import STUDY_METRICS
from runtime.scoring.comparison import Comparison, Summary
from runtime.scoring.trainings import MIN_TRAININGS

NARROW = ("accuracy", "precision")
"""The metrics that, says the paper, vary less from image to image for the pretrained network."""


def score_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Return the claims i and j.

    Args:
        evidence: the pretrained network compared with the one trained from scratch.
    """
    comparison = evidence.comparison
    better = tuple(
        _below_zero(f"{metric}, pretrained minus scratch", comparison, metric, "per image")
        for metric in STUDY_METRICS
    )
    narrower = tuple(
        _below_zero(
            f"standard deviation of {metric}, pretrained minus scratch",
            comparison,
            metric,
            "standard deviation",
        )
        for metric in NARROW
    )
    return (
        Claim("i", "On the test images, scratch is better in all four metrics", "soft", better),
        Claim(
            "j",
            "The pretrained network's accuracy and precision are distributed more narrowly",
            "soft",
            narrower,
        ),
    )


def _below_zero(text: str, comparison: Comparison, metric: str, kind: Summary) -> Measure:
    found = comparison.find(metric, kind)
    value = found.difference
    if comparison.trainings < MIN_TRAININGS and value.withheld is None:
        nan = float("nan")
        why = f"it covers images only, which needs {MIN_TRAININGS} trainings to change"
        value = replace(value, low=nan, high=nan, withheld=why)
    return Measure(text, value, above=False, limit=0.0, by_training=found.by_training)
