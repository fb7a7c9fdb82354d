"""The tables of claims and of their measures."""

from bench.study.claims.tables import claims_table, measures_table
from tests.bench.study.claims.test_curve_claims import judged


def test_the_tables_have_a_row_for_each_claim_and_each_measure() -> None:
    claims = list(judged(3).values())
    _, rows = claims_table(claims)
    assert [row[0] for row in rows] == [claim.letter for claim in claims]
    assert {str(row[3]) for row in rows} == {"agrees"}
    _, measures = measures_table(claims)
    assert len(measures) == sum(len(claim.measures) for claim in claims)
    (final,) = (
        row for row in measures if row[0] == "e" and row[1] == "soft" and "final" in str(row[2])
    )
    found = judged(3)["e", "soft"].measures[2]
    assert final[3:] == [
        "below 0",
        f"{found.value.value:.3g} [{found.value.low:.3g}, {found.value.high:.3g}]",
        ", ".join(f"{value:.3g}" for value in found.by_training),
        "agrees",
    ]
