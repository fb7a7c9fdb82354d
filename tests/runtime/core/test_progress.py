"""Progress is a share of the work, whatever a job estimates."""

import pytest

from runtime.core.progress import Progress, report_progress


@pytest.mark.parametrize(
    ("done", "total", "fraction"),
    [
        (0, 4, 0.0),
        (1, 4, 0.25),
        (4, 4, 1.0),
        (6, 4, 1.0),
        (0, 0, 0.0),
    ],
)
def test_the_fraction_lies_in_0_to_1(done: float, total: float, fraction: float) -> None:
    assert Progress(done, total).fraction == fraction


def test_it_is_reported_where_somebody_listens() -> None:
    seen: list[Progress] = []
    report_progress(seen.append, "train", 1, 3)
    report_progress(None, "train")
    assert seen == [Progress(1, 3, "train")]
