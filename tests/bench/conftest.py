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


@pytest.fixture
def inline_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks and backends are measured in this process, where a test isn't of processes."""
    use_inline_workers(monkeypatch)
