"""Fuzzing a reader with atheris, which is led by the code that a file reaches.

`python -m fuzz_atheris READER -max_total_time=600`, with libFuzzer's options behind the reader and
atheris installed beside the toolkit. A file that breaks a rule is left as crash-... in the current
folder; put it into tests/corpus/READER.
"""

import importlib
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from runtime.core.errors import SegmentationError
from tests.support.fuzz_run import CORPUS, HANG_SECONDS, MEMORY_MIB
from tests.support.fuzz_targets import TARGETS

_LOOKED_AT = ("runtime", "train", "bench")


def main(arguments: list[str]) -> None:
    """Fuzz the reader that the first argument names, until libFuzzer's bounds are met."""
    atheris: Any = importlib.import_module("atheris")
    name, *options = arguments
    target = TARGETS[name]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder, seeds = Path(place) / "read", Path(place) / "seeds"
        path = folder / target.file
        path.parent.mkdir(parents=True)
        seeds.mkdir()
        target.prepare(folder)
        found = [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))]
        for number, content in enumerate([*found, *target.seeds()]):
            (seeds / str(number)).write_bytes(content)
            path.write_bytes(content)
            with atheris.instrument_imports(include=_LOOKED_AT):
                read(target.read, path)  # imports what it needs

        def mutate(content: bytes, limit: int, seed: int) -> bytes:
            chance = random.Random(seed)
            if chance.random() < 0.5:
                return bytes(atheris.Mutate(content, limit))
            return target.mutate(content, chance)[:limit]

        def once(content: bytes) -> None:
            path.write_bytes(content)
            read(target.read, path)

        options += [f"-rss_limit_mb={MEMORY_MIB + 1024}", f"-timeout={HANG_SECONDS}"]
        atheris.Setup(
            [sys.argv[0], *options, "-max_len=1000000", str(seeds)], once, custom_mutator=mutate
        )
        atheris.Fuzz()


def read(reader: Any, path: Path) -> None:
    """Read a file; a refusal is no failure."""
    try:
        reader(path)
    except SegmentationError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
