"""Mutation testing: `python -m tests.support.mutation_run [MODULE ...]`, which is `make mutants`.

Cosmic Ray's operators (https://cosmic-ray.readthedocs.io) change one place of a module; a good test
fails then. Each change is made in a copy of the project and tried against the tests that mirror the
module. The sample depends on the seed alone.
"""

import argparse
import ast
import difflib
import importlib.util
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.support.mutation_targets import TARGETS, find_tests

ROOT = Path(__file__).resolve().parents[2]
Position = tuple[int, int]
"""Line, from 1, and column, from 0."""
Outcome = Literal["noticed", "survived", "timed out"]
BITWISE = {"BitAnd", "BitOr", "BitXor", "LShift", "RShift", "Invert"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change.

    Attributes:
        module: its path from the project's root.
        code: the whole changed source.
        difference: the lines that differ, before and after.
    """

    module: str
    code: str
    difference: str


def sample_mutants(module: str, source: str, number: int, seed: int) -> list[Mutant]:
    """Return up to `number` changes of a module, at places drawn at random.

    Type annotations and dataclass decorators are left alone: a change of them shows in no result.
    A change that Python reads as the same program is skipped.
    """
    places = _places(source)
    rng = random.Random(f"{seed} {module}")
    mutants = []
    for place in rng.sample(sorted(places), len(places)):
        operator, occurrence = rng.choice(places[place])
        code = mutate_code(source, plugins.get_operator(operator)(), occurrence)
        if code is not None and _differs(source, code):
            mutants.append(Mutant(module, code, _difference(source, code)))
        if len(mutants) == number:
            break
    return mutants


def _places(source: str) -> dict[Position, list[tuple[str, int]]]:
    """Return the operators that apply at each place, each with its number of the occurrence."""
    tree, left_alone = get_ast(source), list(_left_alone(source))
    places: dict[Position, list[tuple[str, int]]] = {}
    for name in filter(_is_telling, sorted(plugins.operator_names())):
        operator = plugins.get_operator(name)
        starts = (s for node in ast_nodes(tree) for s, _ in operator().mutation_positions(node))
        for occurrence, start in enumerate(starts):
            if not any(first <= start < last for first, last in left_alone):
                places.setdefault(start, []).append((name, occurrence))
    return places


def _is_telling(name: str) -> bool:
    """Return False for operators that need arguments, or that mostly give a TypeError."""
    if plugins.get_operator(name).arguments() or name.endswith("ExceptionReplacer"):
        return False
    replaced = name.split("_")[1:]
    return len({part in BITWISE for part in replaced}) <= 1


def _left_alone(source: str) -> Iterator[tuple[Position, Position]]:
    """Yield where each annotation and each dataclass decorator begins and ends."""
    for node in ast.walk(ast.parse(source)):
        parts = [getattr(node, field, None) for field in ("annotation", "returns")]
        if isinstance(node, ast.ClassDef):
            parts += [one for one in node.decorator_list if "dataclass" in ast.unparse(one)]
        for part in parts:
            if isinstance(part, ast.expr):
                # A decorator's @ precedes it.
                yield (
                    (part.lineno, part.col_offset - 1),
                    (part.end_lineno or 0, part.end_col_offset or 0),
                )


def _differs(source: str, code: str) -> bool:
    try:
        return ast.dump(ast.parse(source)) != ast.dump(ast.parse(code))
    except SyntaxError:
        return False


def _difference(source: str, code: str) -> str:
    before, after = source.splitlines(), code.splitlines()
    lines = [*difflib.unified_diff(before, after, n=0, lineterm="")][2:]
    return "\n".join(f"    {line}" for line in lines)


def copy_project(folder: Path) -> Path:
    """Copy what git would commit of the project, changed and new files too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def run_tests(copy: Path, tests: Sequence[str], limit: float) -> Outcome:
    """Run tests in a copy of the project for at most `limit` s."""
    environment = {
        "SEG_SHARED": str(ROOT.parent / "shared"),
        **os.environ,
        "PYTHONPATH": str(copy),
        "OMP_NUM_THREADS": "1",
    }
    started = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "junit_family=xunit1",
            *tests,
        ],
        cwd=copy,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return "survived" if started.wait(limit) == 0 else "noticed"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def read_junit(report: Path) -> tuple[dict[str, float], set[str]]:
    """Return how many seconds the tests of each file took, and the files with a failure."""
    seconds: dict[str, float] = {}
    failed = set()
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("file", "")
        seconds[file] = seconds.get(file, 0.0) + float(case.get("time", 0.0))
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(file)
    return seconds, failed


def try_mutant(copy: Path, mutant: Mutant, tests: Sequence[str], limit: float) -> Outcome:
    """Run the tests with a mutant in the place of its module."""
    path = copy / mutant.module
    cached = Path(importlib.util.cache_from_source(path))
    original = path.read_text()
    # A cached module is told from its source by size and whole seconds only.
    cached.unlink(missing_ok=True)
    path.write_text(mutant.code)
    try:
        return run_tests(copy, tests, limit)
    finally:
        path.write_text(original)
        cached.unlink(missing_ok=True)


@dataclass(slots=True)
class Tally:
    """The mutants of a module that were tried, by their outcome."""

    noticed: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    timed_out: list[Mutant] = field(default_factory=list)

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant."""
        lists = {"noticed": self.noticed, "survived": self.survived, "timed out": self.timed_out}
        lists[outcome].append(mutant)

    def __str__(self) -> str:
        tried = len(self.noticed) + len(self.survived) + len(self.timed_out)
        late = f", {len(self.timed_out)} timed out" if self.timed_out else ""
        return f"{len(self.noticed)} of {tried} noticed{late}"


class Runner:
    """Tries mutants in copies of the project, one for each worker, until a deadline."""

    def __init__(self, folder: Path, modules: Sequence[str], workers: int, deadline: float) -> None:
        self._copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(workers):
            self._copies.put(copy_project(folder / str(number)))
        self._tests = {module: find_tests(module, ROOT) for module in modules}
        self._limits: dict[str, float] = {}
        self._deadline = deadline
        self._workers = workers
        self.tallies = {module: Tally() for module in modules}

    def check_unchanged(self) -> list[str]:
        """Return the modules whose tests fail without any change; their mutants are not tried.

        How long the others' tests take sets the limit for their mutants. All run in one process,
        which imports what they need once.
        """
        copy = self._copies.get()
        files = sorted({file for tests in self._tests.values() for file in tests})
        report = copy / "unchanged.xml"
        run_tests(copy, ["--maxfail=1000", f"--junitxml={report}", *files], 3600)
        self._copies.put(copy)
        seconds, failed = read_junit(report)
        for module, tests in self._tests.items():
            if not failed & {*tests}:
                # Other processes may slow down a mutant's tests, and did not slow down these.
                self._limits[module] = 120 + 10 * sum(seconds.get(file, 0.0) for file in tests)
        return [module for module in self._tests if module not in self._limits]

    def try_all(self, mutants: Sequence[Mutant]) -> None:
        """Try mutants in this order."""
        with ThreadPoolExecutor(self._workers) as pool:
            for _ in pool.map(self._try, mutants):
                pass

    def _try(self, mutant: Mutant) -> None:
        module = mutant.module
        if time.monotonic() > self._deadline or module not in self._limits:
            return
        copy = self._copies.get()
        outcome = try_mutant(copy, mutant, self._tests[module], self._limits[module])
        self._copies.put(copy)
        self.tallies[module].add(mutant, outcome)
        say(f"{outcome:9} {module}")


say = partial(print, flush=True)


def main() -> int:
    """Try a sample of mutants of each module, and report those that survive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", help="default: all that carry numbers")
    parser.add_argument("--number", type=int, default=6, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="start no mutant later")
    parser.add_argument("--workers", type=int, default=2, help="processes at the same time")
    given = parser.parse_args()
    modules = given.modules or [*TARGETS]
    by_module = [
        sample_mutants(module, (ROOT / module).read_text(), given.number, given.seed)
        for module in modules
    ]
    # One of each module first, so that a run that is cut off has seen all modules.
    mutants = [mutant for turn in zip_longest(*by_module) for mutant in turn if mutant]
    with tempfile.TemporaryDirectory() as folder:
        deadline = time.monotonic() + 60 * given.minutes
        runner = Runner(Path(folder), modules, given.workers, deadline)
        if broken := runner.check_unchanged():
            say("the tests fail without any mutant:", *broken)
        runner.try_all(mutants)
    report(runner.tallies)
    return 1 if broken else 0


def report(tallies: dict[str, Tally]) -> None:
    """Print the share of noticed mutants of each module, and those that no test noticed.

    One that ran into the time limit counts as not noticed: a busy machine may be the reason.
    """
    total = Tally()
    for module, tally in tallies.items():
        say(f"{module}: {tally}")
        for mutant in tally.survived:
            say(mutant.difference)
        for mutant in tally.timed_out:
            say(f"    timed out:\n{mutant.difference}")
        total.noticed += tally.noticed
        total.survived += tally.survived
        total.timed_out += tally.timed_out
    say(f"all: {total}")


if __name__ == "__main__":
    sys.exit(main())
