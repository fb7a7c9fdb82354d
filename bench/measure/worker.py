"""The process in which one network is measured: `python -m bench.measure.worker`.

Reads a request a line on standard input and answers a line on standard output, both JSON. What a
library prints goes to standard error. `bench.measure.process` is its other side. Nothing heavy is
imported before it is asked for, since start-up and memory are measured here.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from runtime.errors import ConfigError, SegmentationError

if TYPE_CHECKING:
    from runtime.predictor import Predictor

Answer = dict[str, Any]


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = _Worker(answers)
    for line in sys.stdin:
        request = json.loads(line)
        worker.tell(worker.answer(request.pop("do"), request))


class _Worker:
    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._predictor: Predictor | None = None
        self._inputs: dict[int, Any] = {}
        self._factors: Any = None
        self._commands: dict[str, Callable[..., Answer]] = {
            "inspect": _inspect,
            "memory": _memory,
            "load": self._load,
            "predict": self._predict,
            "run": self._run,
            "stages": self._stages,
            "multiply": self._multiply,
            "evaluate": self._evaluate,
        }

    def tell(self, answer: Answer) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def answer(self, command: str, request: Answer) -> Answer:
        try:
            return self._commands[command](**request)
        except SegmentationError as error:
            return {"error": str(error)}
        except MemoryError:
            return {"error": "the machine's memory is not enough for this"}
        except Exception as error:  # whatever it is, the other files are measured
            text = f"unexpected {type(error).__name__}: {error}"
            return {"error": " ".join(text.split())[:400]}

    def _load(self, path: str, size: list[int] | None, threads: int | None) -> Answer:
        from runtime.predictor import Predictor

        chosen = None if size is None else (size[0], size[1])
        self._predictor = Predictor(path, size=chosen, threads=threads)
        return {
            "size": list(self._predictor.size),
            "threads": self._predictor.threads,
            "providers": list(self._predictor.providers),
        }

    def _loaded(self) -> "Predictor":
        if self._predictor is None:
            raise ConfigError("worker: expected a network to be loaded first, found none")
        return self._predictor

    def _predict(self) -> Answer:
        """Predict one image, which is black, from pixels to map."""
        import numpy as np

        predictor = self._loaded()
        predictor(np.zeros((*predictor.size, 3), np.uint8))
        return {}

    def _run(self, batch: int, untimed: int) -> Answer:
        """Run a batch of noise; what goes before untimed fills the caches after other networks."""
        import numpy as np

        predictor = self._loaded()
        if batch not in self._inputs:
            rng = np.random.default_rng(0)
            self._inputs[batch] = rng.random((batch, 3, *predictor.size), np.float32)
        inputs = self._inputs[batch]
        for _ in range(untimed):
            predictor.run(inputs)
        start = time.perf_counter()
        predictor.run(inputs)
        return {"seconds": time.perf_counter() - start}

    def _stages(self, image: str) -> Answer:
        from bench.measure.stages import time_stages

        content = Path(image).read_bytes()
        time_stages(self._loaded(), content)
        return {"seconds": time_stages(self._loaded(), content)}

    def _multiply(self, side: int) -> Answer:
        """Multiply two float32 matrices of `side` squared."""
        import numpy as np

        if self._factors is None:
            rng = np.random.default_rng(0)
            one, other = rng.random((2, side, side), np.float32)
            self._factors = one, other, np.empty_like(one)
        one, other, product = self._factors
        np.matmul(one, other, out=product)
        start = time.perf_counter()
        np.matmul(one, other, out=product)
        return {"seconds": time.perf_counter() - start}

    def _evaluate(self, data: str, split: str, masks: Any) -> Answer:
        from bench.measure.accuracy import accuracy_of
        from runtime.coco import read_dataset
        from runtime.evaluation import evaluate
        from runtime.schema import to_dict

        chosen = read_dataset(data).split(split)
        evaluation = evaluate(
            self._loaded(),
            chosen,
            masks=masks,
            on_image=lambda done, total: self.tell({"done": done, "of": total}),
        )
        groups = [sample.group for sample in chosen.samples]
        return {"accuracy": to_dict(accuracy_of(evaluation, groups, data, split, masks))}


def _inspect(path: str, size: list[int] | None) -> Answer:
    from export.inspection.file import inspect

    found = inspect(path, None if size is None else (size[0], size[1]))
    total = found.counts.total
    trained = found.metadata.network.parameters if found.metadata else None
    counted = None if "parameters" in total.lower_bounds else total.parameters
    return {
        "digest": found.digest,
        "file_bytes": found.file_bytes,
        "parameters": trained or counted,
        "macs": None if "macs" in total.lower_bounds else total.macs,
        "weights": total.weight_bytes + total.constant_bytes,
    }


def _memory(path: str, size: list[int], threads: int, arena: bool) -> Answer:
    from bench.measure.memory import memory_by_phase

    return memory_by_phase(path, (size[0], size[1]), threads, arena=arena)


if __name__ == "__main__":
    main()
