from dataclasses import dataclass
from pathlib import Path

from bench.study.step_cache import StepCache


@dataclass(frozen=True, slots=True)
class Number:
    value: float


def test_a_step_is_carried_out_again_only_for_other_inputs_or_missing_files(
    tmp_path: Path,
) -> None:
    cache, output = StepCache(tmp_path / "steps"), tmp_path / "output.txt"
    calls: list[object] = []

    def result(inputs: object, step: str = "step") -> float:
        def make() -> Number:
            calls.append(inputs)
            output.touch()
            return Number(float(len(calls)))

        return cache.result(step, inputs, Number, make, files=[output]).value

    assert cache.cached("step", [1, "a"], Number) is None
    assert [result([1, "a"]), result([1, "a"])] == [1.0, 1.0]
    assert cache.cached("step", [1, "a"], Number) == Number(1.0)
    assert cache.cached("step", [1, "b"], Number) is None
    assert cache.cached("step", [1, "a"], Number, files=[tmp_path / "gone"]) is None
    assert result([1, "b"]) == 2.0
    output.unlink()
    assert result([1, "b"]) == 3.0
    assert result([1, "b"], step="another") == 4.0
    assert calls == [[1, "a"], [1, "b"], [1, "b"], [1, "b"]]
