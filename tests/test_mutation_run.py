"""`make mutants`: which tests belong to a module, and which changes are tried."""

from pathlib import Path

import pytest

from tests.support.mutation_targets import TARGETS, find_tests

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """\
@dataclass(frozen=True)
class Point:
    x: int = 3


def share(part: int | None, whole: float = 2) -> float:
    return part / whole if part < whole else 1
"""


@pytest.mark.parametrize("module", TARGETS)
def test_every_module_has_tests(module: str) -> None:
    assert find_tests(module, ROOT)


def test_a_module_without_tests_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        find_tests("runtime/core/missing.py", ROOT)


def test_the_sample_depends_on_the_seed_and_leaves_types_and_records_alone() -> None:
    pytest.importorskip("cosmic_ray")
    from tests.support.mutation_run import sample_mutants

    sample = sample_mutants("share.py", SOURCE, 10, seed=0)
    assert sample == sample_mutants("share.py", SOURCE, 10, seed=0)
    assert sample != sample_mutants("share.py", SOURCE, 10, seed=1)
    assert {mutant.code.count("int | None") for mutant in sample} == {1}
    changed = {line for mutant in sample for line in mutant.difference.splitlines()}
    assert any("whole: float = " in line for line in changed)
    assert any(" / whole" not in line and line.startswith("    +") for line in changed)
    assert {mutant.code.count("@dataclass(frozen=True)\n") for mutant in sample} == {1}
    assert len(sample) == len({mutant.code for mutant in sample})
