"""The variant that is taken: the first that costs little enough, and is faster if that is all."""

from collections.abc import Callable
from typing import cast

import onnx
import pytest

from export.variants.evaluation import VariantEvaluation, VariantEvaluator, first_accepted
from export.variants.variants import (
    ALLOWED_FALL,
    WINOGRAD_ALLOWED_FALL,
    WINOGRAD_TOLERANCE,
    Variant,
)
from runtime.core.errors import ParityError
from runtime.model.certificate import Timing
from runtime.model.metadata import InputSpec

SPEC = InputSpec(32, 32, multiple=16)


def evaluation(fall: float, time_ratio: float = 0.5) -> VariantEvaluation:
    timing = Timing(10.0, 10.0 * time_ratio, 20, 1, "a processor", "1.x")
    return VariantEvaluation("digest", 100, "4 images", 0.5, 0.5 - fall, timing)


@pytest.fixture
def accepted() -> Callable[..., tuple[int, VariantEvaluation]]:
    """Returns the index of the accepted one of variants with these evaluations."""

    def choose(
        *evaluations: VariantEvaluation, for_speed: bool = False
    ) -> tuple[int, VariantEvaluation]:
        variants = [
            Variant(onnx.ModelProto(doc_string=str(i)), "int8", "m", (), SPEC, 0.005,
                    for_speed=for_speed)
            for i in range(len(evaluations))
        ]  # fmt: skip

        class Evaluator:
            split_name = "scans, valid"

            def measure(self, model: onnx.ModelProto) -> VariantEvaluation:
                return evaluations[int(model.doc_string)]

        evaluator = cast(VariantEvaluator, Evaluator())
        variant, found = first_accepted(iter(variants), evaluator, "int8")
        return variants.index(variant), found

    return choose


Choose = Callable[..., tuple[int, VariantEvaluation]]


def test_limits_are_those_that_are_documented() -> None:
    assert (ALLOWED_FALL, WINOGRAD_ALLOWED_FALL, WINOGRAD_TOLERANCE) == (0.005, 1e-5, 1e-4)


def test_the_first_that_costs_little_enough_is_taken(accepted: Choose) -> None:
    falls = (0.0051, 0.0049, 0.0)
    index, found = accepted(*(evaluation(fall) for fall in falls))
    assert index == 1
    assert found.fall == pytest.approx(0.0049)
    assert accepted(evaluation(-0.3))[0] == 0  # a rise is no fall
    assert accepted(evaluation(0.0, time_ratio=3.0))[0] == 0  # that is no matter of speed


@pytest.mark.parametrize("fall", [0.0051, float("nan")])
def test_what_costs_too_much_is_refused_with_its_least_fall(accepted: Choose, fall: float) -> None:
    with pytest.raises(ParityError, match=r"int8 costs too much .* at most 0\.005 is allowed"):
        accepted(evaluation(fall), evaluation(0.2))


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_what_is_worth_its_speed_alone_must_be_faster(accepted: Choose, ratio: float) -> None:
    with pytest.raises(ParityError, match=r"int8 is not faster on this machine: it takes 1\d ms"):
        accepted(evaluation(0.0, ratio), for_speed=True)
    assert accepted(evaluation(0.0, 0.99), for_speed=True)[0] == 0


def test_without_a_variant_nothing_gains_speed(accepted: Choose) -> None:
    with pytest.raises(ParityError, match="int8 saves too little time in every layer"):
        accepted()
