"""Claims i and j: what the paper reads off its test scores and their histograms."""

from bench.study.claims.claim import Claim, Measure
from bench.study.evidence import Evidence
from bench.study.tables import LABELS
from runtime.metrics import STUDY_METRICS
from runtime.scoring.comparison import Comparison, Summary
from runtime.scoring.trainings import why_undecided

NARROW = ("accuracy", "precision")
"""The metrics that, says the paper, vary less from image to image for the pretrained network."""


def score_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Return the claims i and j.

    Args:
        evidence: the pretrained network compared with the one trained from scratch. Below three
            trainings its intervals cover the choice of images only, so they decide nothing.
    """
    comparison = evidence.comparison
    too_few = why_undecided(comparison.trainings)
    better = tuple(
        _below_zero(f"{LABELS[metric]}, pretrained minus scratch", comparison, metric, "per image")
        for metric in STUDY_METRICS
    )
    narrower = tuple(
        _below_zero(
            f"standard deviation of {LABELS[metric]}, pretrained minus scratch",
            comparison,
            metric,
            "standard deviation",
        )
        for metric in NARROW
    )
    return (
        Claim(
            "i",
            "On the test images, scratch is better in all four metrics",
            "soft",
            better,
            too_few,
        ),
        Claim(
            "j",
            "The pretrained network's accuracy and precision are distributed more narrowly",
            "soft",
            narrower,
            too_few,
        ),
    )


def _below_zero(text: str, comparison: Comparison, metric: str, kind: Summary) -> Measure:
    found = comparison.find(metric, kind)
    return Measure(text, found.difference, above=False, limit=0.0, by_training=found.by_training)
