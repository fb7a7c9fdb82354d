"""Fuzzing the readers: `python -m tests.support.fuzz_run [READER ...]`, which is `make fuzz`.

Each reader runs in a process of its own, forked from this one. It may take MEMORY_MIB more memory
than it has when it begins, and HANG_SECONDS for a file. A file that breaks a rule is kept in
tests/corpus/READER; all that lie there are read first, in every run.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import logging
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.core.errors import SegmentationError
from tests.support.fuzz_targets import TARGETS, Target

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
MEMORY_MIB = 2048
"""The largest image that is read, 2**26 pixels with transparency, takes half of it."""
HANG_SECONDS = 60
FAILED = 3
"""The exit code of a reader's process that found failures; one that hangs ends with 1."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        executions: files that were read, `refused` of them with one of the project's errors.
        failures: files that broke a rule, with the traceback.
        peak_mib: how much the process has grown.
    """

    executions: int
    refused: int
    failures: tuple[tuple[bytes, str], ...]
    peak_mib: int


def fuzz(
    target: Target,
    folder: Path,
    *,
    corpus: Sequence[bytes] = (),
    seed: int = 0,
    executions: int | None = None,
    seconds: float | None = None,
    most_failures: int = 1,
) -> Outcome:
    """Read changed files, written into `folder`, until one of the bounds is met.

    The corpus and the seeds are read as they are first. An execution's file depends on `seed` and
    its number alone.
    """
    path = folder / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    begun, before = time.monotonic(), _peak_mib()
    count = refused = 0
    failures: list[tuple[bytes, str]] = []
    for content in _files(target, corpus, seed):
        path.write_bytes(content)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=sys.stdout)
        try:
            target.read(path)
        except SegmentationError as error:
            refused += 1
            if "\n" in str(error):
                failures.append((content, f"a message of more than one line: {error}"))
        except Exception:
            failures.append((content, traceback.format_exc()))
        finally:
            faulthandler.cancel_dump_traceback_later()
        count += 1
        if (
            len(failures) >= most_failures
            or (executions is not None and count >= executions)
            or (seconds is not None and time.monotonic() - begun >= seconds)
        ):
            break
    return Outcome(count, refused, tuple(failures), _peak_mib() - before)


def _files(target: Target, corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    base = [*corpus, *target.seeds()]
    yield from base
    number = 0
    while True:
        number += 1
        chance = random.Random(f"{seed}/{number}")
        yield target.mutate(chance.choice(base), chance)


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (MEMORY_MIB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def fuzz_reader(name: str, folder: Path, **bounds: Any) -> Outcome:
    """Fuzz one reader in this process, whose memory is bounded, with its corpus.

    Args:
        bounds: of `fuzz`.
    """
    target = TARGETS[name]
    target.prepare(folder)
    # A sound file first: what is imported for it is not the file's memory.
    fuzz(target, folder, executions=1)
    corpus = sorted(path for path in (CORPUS / name).glob("*") if path.is_file())
    with _bounded_memory():
        return fuzz(target, folder, corpus=[path.read_bytes() for path in corpus], **bounds)


def run(name: str, folder: Path, arguments: argparse.Namespace) -> int:
    """Fuzz one reader in this process and print what came of it; return an exit code."""
    warnings.simplefilter("ignore")  # Pillow's, of odd files, as what it logs
    logging.disable()
    faulthandler.enable(sys.stdout)
    sys.stderr = sys.stdout
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff's messages
    executions = arguments.executions
    if executions is None and arguments.seconds is None:
        executions = TARGETS[name].executions
    outcome = fuzz_reader(
        name,
        folder,
        seed=arguments.seed,
        executions=executions,
        seconds=arguments.seconds,
        most_failures=arguments.failures,
    )
    for content, text in outcome.failures:
        print(f"{keep(name, content)}:\n{text}")  # noqa: T201
    print(  # noqa: T201
        f"{name}: {outcome.executions} files read, {outcome.refused} refused, "
        f"{len(outcome.failures)} failures, {outcome.peak_mib} MiB grown",
        flush=True,
    )
    return FAILED if outcome.failures else 0


def keep(name: str, content: bytes) -> Path:
    """Lay a file into a reader's corpus and return its path."""
    path = CORPUS / name / hashlib.sha256(content).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def main() -> int:
    """Fuzz each reader in turn in a process of its own; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("readers", nargs="*", help=f"default: {' '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, help="for each reader")
    parser.add_argument("--executions", type=int, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=int, default=1, help="stop a reader after so many")
    arguments = parser.parse_args()
    unknown = set(arguments.readers) - set(TARGETS)
    if unknown:
        parser.error(f"expected some of {', '.join(TARGETS)}, found {', '.join(unknown)}")
    names = arguments.readers or list(TARGETS)
    for module in dict.fromkeys(module for name in names for module in TARGETS[name].modules):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            code = _forked(name, Path(folder), arguments)
            if code not in (0, FAILED):
                kept = keep(name, (Path(folder) / TARGETS[name].file).read_bytes())
                print(f"{kept}: {name} ended with {code}: it hung, or crashed")  # noqa: T201
        failed |= code != 0
    return failed


def _forked(name: str, folder: Path, arguments: argparse.Namespace) -> int:
    """Fuzz one reader in a process of its own; return its exit code, negative for a signal."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = FAILED
        try:
            code = run(name, folder, arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
