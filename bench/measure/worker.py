"""The process in which one network is measured: `python -m bench.measure.worker`.

`bench.measure.run` asks it.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.workers.service import Answer, Service
from runtime.core.errors import ConfigError

if TYPE_CHECKING:
    from runtime.model.predictor import Predictor


def main() -> None:
    """Answer requests until standard input ends."""
    service = Service()
    network = _Network(service)
    service.run(
        {
            "inspect": _inspect,
            "memory": _memory,
            "load": network.load,
            "predict": network.predict,
            "run": network.run,
            "stages": network.stages,
            "multiply": network.multiply,
            "evaluate": network.evaluate,
        }
    )


class _Network:
    """The network that was loaded, and what it is run on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._predictor: Predictor | None = None
        self._inputs: dict[int, Any] = {}
        self._factors: Any = None

    def load(self, path: str, size: list[int] | None, threads: int | None) -> Answer:
        from runtime.model.predictor import Predictor

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

    def predict(self) -> Answer:
        """Predict one image, which is black, from pixels to map."""
        import numpy as np

        predictor = self._loaded()
        predictor(np.zeros((*predictor.size, 3), np.uint8))
        return {}

    def run(self, batch: int, untimed: int) -> Answer:
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

    def stages(self, image: str) -> Answer:
        from bench.measure.stages import time_stages

        content = Path(image).read_bytes()
        time_stages(self._loaded(), content)
        return {"seconds": time_stages(self._loaded(), content)}

    def multiply(self, side: int) -> Answer:
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

    def evaluate(self, data: str, split: str, masks: Any, size: list[int] | None) -> Answer:
        from bench.measure.accuracy import accuracy_of
        from runtime.core.schema import to_dict
        from runtime.data.coco import read_dataset
        from runtime.model.predictor import Predictor, concurrency_for
        from runtime.scoring.evaluation import evaluate

        chosen = read_dataset(data).split(split)
        loaded = self._loaded()
        predictor = Predictor(
            loaded.file.path,
            size=loaded.size,
            threads=loaded.threads,
            concurrency=concurrency_for(loaded.threads),
        )
        evaluation = evaluate(
            predictor,
            chosen,
            masks=masks,
            size=None if size is None else (size[0], size[1]),
            on_progress=lambda step: self._service.tell({"done": step.done, "of": step.total}),
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
