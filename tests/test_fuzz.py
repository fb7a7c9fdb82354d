"""A bounded run of every fuzzed reader, and what a run finds."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from runtime.core.errors import DataError
from tests.support.fuzz_mutations import mutate_bytes, mutate_checkpoint, mutate_json
from tests.support.fuzz_run import fuzz, fuzz_reader
from tests.support.fuzz_targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[1]
NEEDS = {
    "nifti": "nibabel",
    "dicom": "highdicom",
    "onnx": "onnx",
    "checkpoint": "torch",
    "weights": "torch",
    "safetensors": "safetensors",
}


WITH_TORCH = [name for name, target in TARGETS.items() if "train.checkpoint" in target.modules]
WITHOUT_TORCH = [name for name in TARGETS if name not in WITH_TORCH]


@pytest.fixture(scope="module")
def fuzzed() -> str:
    """What a run prints of the readers without PyTorch, whose modules are installed."""
    readers = [name for name in WITHOUT_TORCH if find_spec(NEEDS.get(name, "numpy"))]
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.fuzz_run", *readers],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr


@pytest.mark.parametrize("reader", WITHOUT_TORCH)
def test_a_reader_lets_only_the_projects_errors_out(reader: str, fuzzed: str) -> None:
    pytest.importorskip(NEEDS.get(reader, "numpy"))
    outcome = re.search(
        rf"^{reader}: (\d+) files read, (\d+) refused, 0 failures", fuzzed, re.MULTILINE
    )
    assert outcome, fuzzed
    read, refused = int(outcome[1]), int(outcome[2])
    assert read >= TARGETS[reader].executions
    assert 0 < refused < read


@pytest.mark.parametrize("reader", WITH_TORCH)
@pytest.mark.filterwarnings("ignore")
def test_a_reader_of_weights_lets_only_the_projects_errors_out(reader: str, tmp_path: Path) -> None:
    """In this process, since another would only load PyTorch, for longer than it reads."""
    pytest.importorskip(NEEDS[reader])
    executions = TARGETS[reader].executions
    outcome = fuzz_reader(reader, tmp_path, executions=executions)
    assert outcome.failures == ()
    assert 0 < outcome.refused < outcome.executions == executions


def toy(read: object) -> Target:
    return Target(lambda: [b"abc"], mutate_bytes, read, "toy", 50)  # type: ignore[arg-type]


def test_a_run_finds_what_breaks_a_rule(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        if path.read_bytes() != b"abc":
            raise KeyError("not one of the project's")

    def wordy(path: Path) -> None:
        raise DataError("one line\nand another")

    for read, words in ((broken, "KeyError"), (wordy, "more than one line")):
        ((content, text),) = fuzz(toy(read), tmp_path, executions=50).failures
        assert words in text
        assert (tmp_path / "toy").read_bytes() == content


def test_a_refused_file_is_no_failure_and_the_corpus_is_read_first(tmp_path: Path) -> None:
    read: list[bytes] = []

    def refusing(path: Path) -> None:
        read.append(path.read_bytes())
        raise DataError("one sentence")

    outcome = fuzz(toy(refusing), tmp_path, corpus=[b"found before"], executions=20)
    assert (outcome.executions, outcome.refused, outcome.failures) == (20, 20, ())
    assert read[:2] == [b"found before", b"abc"]
    again = [*read]
    read.clear()
    fuzz(toy(refusing), tmp_path, corpus=[b"found before"], executions=20)
    assert read == again
    read.clear()
    fuzz(toy(refusing), tmp_path, corpus=[b"found before"], executions=20, seed=1)
    assert read != again


@pytest.mark.parametrize("reader", TARGETS)
def test_the_seeds_are_sound_and_their_changes_differ(reader: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS.get(reader, "numpy"))
    target = TARGETS[reader]
    target.prepare(tmp_path)
    seeds = target.seeds()
    sound = fuzz(
        replace(target, mutate=lambda content, _: content), tmp_path, executions=len(seeds)
    )
    assert sound.failures == ()
    # Of ONNX files, the one whose weights lie in another.
    assert sound.refused == {"onnx": 1, "image": 2}.get(reader, 0)
    changed = [target.mutate(seeds[0], Random(number)) for number in range(20)]
    assert len({*changed, seeds[0]}) > 15


@pytest.mark.parametrize("mutate", [mutate_bytes, mutate_json, mutate_checkpoint])
def test_any_bytes_can_be_changed(mutate: object) -> None:
    for content in (b"", b"\x00", b"[]", b"null", b"PK\x03\x04", b"[" * 5000):
        for number in range(30):
            assert isinstance(mutate(content, Random(number)), bytes)  # type: ignore[operator]
