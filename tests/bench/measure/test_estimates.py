"""Expected times of a measurement: of every phase, and closer once something is measured."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.measure.estimates import ACCURACY, LATENCY, STARTUP, count_images, expected_seconds
from bench.measure.partial_result import PartialResult
from bench.measure.settings import MeasurementSettings, Scoring
from runtime.model.providers import ProviderRequest
from runtime.model.stopping_rule import StoppingRule
from runtime.model.timing import InterleavedTiming

SETTINGS = MeasurementSettings(threads=1, rule=StoppingRule(max_seconds=30.0), startups=3)


def files() -> list[PartialResult]:
    return [PartialResult(Path(name), ProviderRequest()) for name in ("a.onnx", "b.onnx")]


def test_timed_phases_take_the_time_that_the_rule_gives_them() -> None:
    known = files()
    for file in known:
        file.startups.append(0.5)
        file.first_predictions.append(0.25)
    expected = expected_seconds(known, SETTINGS, 0)
    round_s = 2 * (0.25 + 0.25)  # an untimed run before each timed one
    assert expected[LATENCY] == 2 * 0.5 + (2 + 1) * 30.0 + 1.5 * round_s
    assert expected["throughput at batch 8"] == 2 * 15.0 + 1.5 * 8 * round_s
    assert expected[ACCURACY] == 0.0


def test_scoring_is_expected_from_the_measured_latency_and_start_up() -> None:
    known = files()
    for file, seconds in zip(known, (0.5, 0.25), strict=True):
        file.startups.append(4.0)
        timing = InterleavedTiming([partial(float, seconds)], StoppingRule.exactly(3))
        timing.run()
        file.timed[1] = timing, 0
    expected = expected_seconds(known, SETTINGS, 200)
    assert expected[STARTUP] == 4 * (4.0 + 4.0)
    assert expected[ACCURACY] == 200 * (0.5 + 0.25) + 8.0


def test_images_of_a_data_set_that_cannot_be_read_count_as_none(phantom: Path) -> None:
    assert count_images(SETTINGS) == 0
    assert count_images(replace(SETTINGS, scoring=Scoring("missing"))) == 0
    assert count_images(replace(SETTINGS, scoring=Scoring(str(phantom)))) > 0
