"""Accuracy from evaluation files."""

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from bench.measure.accuracy import read_accuracy
from runtime.core.errors import DataError


@pytest.mark.parametrize("content", ["[]", "{}", '{"version": 1}', '{"version": 2, "data": "d"}'])
def test_a_file_that_is_not_an_evaluation_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"evaluation\.json: (expected|missing)"):
        read_accuracy(path)
