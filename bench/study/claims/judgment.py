"""All claims of the paper, judged by a study."""

from collections.abc import Sequence

from bench.study.claims.claim import Claim
from bench.study.claims.curve_claims import Trainings, curve_claims
from bench.study.claims.data_claims import data_claim, time_claim
from bench.study.claims.score_claims import score_claims
from bench.study.evidence import Evidence
from runtime.report.exploration import Exploration
from train.history import EpochRow

Histories = Sequence[tuple[EpochRow, ...]]


def judge_claims(
    scratch: Histories,
    pretrained: Histories,
    evidence: Evidence,
    exploration: Exploration,
    *,
    full_protocol: bool,
) -> tuple[Claim, ...]:
    """Return what a study says of the paper's claims a to l.

    Args:
        scratch, pretrained: the histories of each network's trainings, on the paper's split.
        evidence: the pretrained network compared with the one trained from scratch.
        exploration: of the paper's split.
        full_protocol: whether the networks were trained as the paper's were.
    """
    hours = sum(row.seconds for first in (scratch[0], pretrained[0]) for row in first) / 3600.0
    return (
        *curve_claims(Trainings(tuple(scratch)), Trainings(tuple(pretrained))),
        *score_claims(evidence),
        data_claim(exploration),
        time_claim(hours, full_protocol=full_protocol),
    )
