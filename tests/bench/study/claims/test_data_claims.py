"""Claims on the data set, and on the time of training."""

import numpy as np
import pytest

from bench.study.claims.data_claims import data_claim, time_claim
from runtime.metrics import Spread
from runtime.report.exploration import COMPARED, Exploration, SplitExploration
from runtime.report.two_sample import compare_splits


def exploration(*, shifted: float = 0.0, wide: float = 1.0, large: int = 3) -> Exploration:
    rng = np.random.default_rng(0)
    splits = []
    for name, count in (("train", 300), ("valid", 80), ("test", 80)):
        values = {quantity: rng.uniform(0.2, 0.8, count) for quantity in COMPARED}
        values["gray"] = values["gray"] + (shifted if name == "test" else 0.0)
        values["aspect"] = 2.0 ** rng.normal(0.0, wide if name == "test" else 0.4, count)
        area = rng.uniform(1e3, 5e4, count)
        if name == "train":
            area[:large] = 2e5
        lists = {key: tuple(value.tolist()) for key, value in values.items()}
        spreads: dict[str, Spread] = {}
        splits.append(
            SplitExploration(
                name, count, count, 0, (), 0.5, 0.1, area=tuple(area.tolist()), centers=(),
                spreads=spreads, **lists,
            )
        )  # fmt: skip
    tests = compare_splits({q: {s.name: s.values(q) for s in splits} for q in COMPARED})
    return Exploration("set", (64, 64), tuple(splits), (), (), tests)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "agrees"),
        ({"shifted": 0.5}, "disagrees"),
        ({"wide": 0.1}, "disagrees"),
        ({"wide": 0.4}, "undecided"),
        ({"large": 0}, "disagrees"),
    ],
)
def test_the_data_set_is_or_is_not_as_the_paper_says(
    changes: dict[str, float], expected: str
) -> None:
    assert data_claim(exploration(**changes)).verdict == expected  # type: ignore[arg-type]


def test_a_time_on_another_machine_decides_nothing() -> None:
    for full, note in ((True, "another machine"), (False, "another machine, and not the full")):
        claim = time_claim(2.5, full_protocol=full)
        assert claim.verdict == "undecided"
        assert claim.note.startswith(note)
        assert claim.measures[0].value.value == 2.5
