"""Example scans lie in the quartiles that they are chosen for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

pytest.importorskip("matplotlib")

from bench.study.examples import Pictures, choose_examples
from bench.study.figures import examples_figures
from runtime.data.samples import Sample
from runtime.metrics import STUDY_METRICS, image_scores
from runtime.scoring.comparison import soft_values
from runtime.scoring.evaluation import Evaluation, score

MASK = np.zeros((4, 4), np.uint8)
MASK[1:3, 1:3] = 1


def evaluation(name: str, levels: list[float]) -> Evaluation:
    samples = tuple(Sample(Path(f"{i}.png"), f"{i}.png", 4, 4, ()) for i in range(len(levels)))
    maps = [np.where(MASK, level, 0.1).astype(np.float32) for level in levels]
    return score(name, (4, 4), samples, [(m, MASK) for m in maps])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_examples_lie_in_their_quartile(levels: list[float]) -> None:
    found = evaluation("a", levels)
    examples = choose_examples([found])
    assert {case.metric for case in examples} == set(STUDY_METRICS)
    for case in examples:
        values = soft_values(found, case.metric)
        value = values[int(case.file.removesuffix(".png"))]
        count = max(1, len(values) // 4)
        ranked = np.sort(values)
        if case.quartile == "lower":
            assert value <= ranked[count - 1]
        else:
            assert value >= ranked[-count]


def test_a_scan_of_two_networks_quartiles_appears_once() -> None:
    levels = list(np.linspace(0.1, 0.9, 16))
    examples = choose_examples([evaluation("a", levels), evaluation("b", levels)])
    assert len(examples) == 2 * 2 * len(STUDY_METRICS)
    assert all(case.chosen_by == ("a", "b") for case in examples)


def test_images_where_a_metric_is_undefined_are_ignored() -> None:
    empty = np.zeros((4, 4), np.uint8)
    samples = tuple(Sample(Path(f"{i}.png"), f"{i}.png", 4, 4, ()) for i in range(3))
    probability = np.full((4, 4), 0.5, np.float32)
    found = score("a", (4, 4), samples, [(probability, empty)] * 3)
    examples = choose_examples([found])
    assert {case.metric for case in examples} == {"accuracy"}

    scan = np.zeros((4, 4, 3), np.uint8)
    maps, scores = {"a": probability}, {"a": image_scores(found.samples[0].soft)}
    pictures = {sample.file_name: Pictures(scan, empty, maps, scores) for sample in samples}
    assert list(examples_figures(examples, pictures, ["a"])) == ["accuracy"]  # and no warning
