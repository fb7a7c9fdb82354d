"""What the tests of benchmarks share."""

from collections.abc import Iterator

import pytest

from tests.support.inline_workers import use_inline_workers


@pytest.fixture(scope="module", autouse=True)
def small_product() -> Iterator[None]:
    """The matrix product that is timed beside the networks takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("client", "speed"):
            patch.setattr(f"bench.measure.{module}.PRODUCT_SIDE", 64)
        yield


@pytest.fixture(scope="module")
def no_curves() -> Iterator[None]:
    """Trainings draw no curves, at their end and each time they are resumed after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.resumable_run.draw_curves", lambda *_: None)
        yield


@pytest.fixture
def inline_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks and backends are measured in this process, where a test isn't of processes."""
    use_inline_workers(monkeypatch)
