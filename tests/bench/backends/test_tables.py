"""The table of a comparison of backends, and its page."""

import dataclasses

import pytest

from bench.backends.result import BackendComparison
from bench.backends.tables import HEADER, backends_markdown, backends_rows
from runtime.report.cells import DASH
from tests.support.backend_results import backend_comparison


@pytest.fixture
def result() -> BackendComparison:
    return backend_comparison()


def test_rows_are_in_the_order_of_their_times_and_those_with_a_reason_last(
    result: BackendComparison,
) -> None:
    rows = backends_rows(result)
    assert rows == [
        ["short", "1.2", "2.5e-06", "3.0 [2.0, 4.0]", "0.900", "not ranked"],
        ["onnxruntime", "1.2", "0", "3.0 [2.0, 4.0]", "1", "reference"],
        ["slow", "1.2", "2.5e-06", "3.0 [2.0, 4.0]", "1.500 [1.250, 1.750]", "slower"],
        ["wrong", "1.2", "2.0e-01", DASH, DASH, "probabilities differ by more than 0.001"],
        ["none", DASH, DASH, DASH, DASH, "no|pipe"],
    ]
    assert all(len(cells) == len(HEADER) for cells in rows)


def test_the_page_says_what_its_figures_depend_on(result: BackendComparison) -> None:
    page = backends_markdown(result)
    assert page.startswith("# Backends of network.onnx\n")
    assert "no\\|pipe" in page
    assert "Batch 1, input 32x48, threads: 2, rounds: 8. Processor (2 usable cores)" in page
    assert f"SHA-256 of the file: `{'ab' * 32}`.\n\nSHA-256 of slow: `{'cd' * 32}`.\n" in page
    stopped = dataclasses.replace(result, interrupted=True)
    assert "rounds: 8 (stopped early)." in backends_markdown(stopped)
