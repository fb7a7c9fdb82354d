"""The process that measures one network: `python -m bench.measure.worker`.

`bench.measure.client.NetworkWorker` sends its requests.
"""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.workers.service import Answer, Service
from runtime.core.errors import ConfigError
from runtime.model.providers import ProviderRequest

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
    """The loaded network and its inputs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._predictor: Predictor | None = None
        self._request = ProviderRequest()
        self._verify = True
        self._inputs: dict[int, Any] = {}
        self._factors: Any = None

    def load(
        self,
        path: str,
        size: list[int] | None,
        threads: int | None,
        provider: dict[str, Any],
        batch_size: int = 1,
        intensity: int | None = None,
        verify: bool = True,
    ) -> Answer:
        from runtime.core.schema import to_dict
        from runtime.model.predictor import Predictor

        chosen = None if size is None else (size[0], size[1])
        self._request, self._verify = ProviderRequest(**provider), verify
        start = time.perf_counter()
        self._predictor = Predictor(
            path,
            size=chosen,
            threads=threads,
            provider=self._request,
            batch_size=batch_size,
            intensity=intensity,
            verify=verify,
        )
        open_s, choice = time.perf_counter() - start, self._predictor.choice
        return {
            "open_s": open_s,
            "size": list(self._predictor.size),
            "engine": to_dict(self._predictor.engine),
            "fixed_batch": self._predictor.fixed_batch,
            "choice": None if choice is None else to_dict(choice),
        }

    def _loaded(self) -> "Predictor":
        if self._predictor is None:
            raise ConfigError("worker: no network is loaded")
        return self._predictor

    def predict(self) -> Answer:
        """Predict one black image, from pixels to probability map."""
        import numpy as np

        predictor = self._loaded()
        predictor(np.zeros((*predictor.size, 3), np.uint8))
        return {}

    def run(self, batch: int) -> Answer:
        """Time a batch of noise, after an untimed run that refills the caches."""
        import numpy as np

        from runtime.model.timing import timed

        predictor = self._loaded()
        if batch not in self._inputs:
            rng = np.random.default_rng(0)
            self._inputs[batch] = rng.random((batch, 3, *predictor.size), np.float32)
        return {"seconds": timed(partial(predictor.run, self._inputs[batch]), untimed=1)()}

    def stages(self, image: str) -> Answer:
        from bench.measure.stages import time_stages

        content = Path(image).read_bytes()
        time_stages(self._loaded(), content)
        return {"seconds": time_stages(self._loaded(), content)}

    def multiply(self, side: int) -> Answer:
        """Time the product of two square float32 matrices, after an untimed product."""
        import numpy as np

        from runtime.model.timing import timed

        if self._factors is None:
            rng = np.random.default_rng(0)
            a, b = rng.random((2, side, side), np.float32)
            self._factors = a, b, np.empty_like(a)
        a, b, product = self._factors
        return {"seconds": timed(partial(np.matmul, a, b, out=product), untimed=1)()}

    def evaluate(
        self, data: str, split: str, masks: Any, size: list[int] | None, categories: list[str]
    ) -> Answer:
        from bench.measure.accuracy import accuracy_of
        from runtime.core.schema import to_dict
        from runtime.data.coco import read_dataset
        from runtime.model.predictor import Predictor, concurrency_for
        from runtime.scoring.evaluation import evaluate
        from runtime.scoring.patients import groups_of
        from runtime.scoring.provenance import scored_targets

        loaded = self._loaded()
        dataset, targets = scored_targets(
            [loaded.file], read_dataset(data), split, masks=masks, categories=categories
        )
        chosen = dataset.split(split)
        predictor = Predictor(
            loaded.file.path,
            size=loaded.size,
            threads=loaded.threads,
            concurrency=concurrency_for(loaded.threads),
            provider=self._request,
            intensity=loaded.intensity,
            verify=self._verify,
        )
        evaluation = evaluate(
            predictor,
            chosen,
            masks=targets.masks,
            size=None if size is None else (size[0], size[1]),
            on_progress=lambda step: self._service.send({"done": step.done, "total": step.total}),
        )
        groups = groups_of(chosen.samples)
        return {"accuracy": to_dict(accuracy_of(evaluation, groups, data, split, targets.masks))}


def _inspect(path: str, size: list[int] | None) -> Answer:
    from export.inspection.file import inspect

    inspection = inspect(path, None if size is None else (size[0], size[1]))
    total, metadata = inspection.counts.total, inspection.metadata
    trained = None if metadata is None or metadata.network is None else metadata.network.parameters
    counted = None if "parameters" in total.lower_bounds else total.parameters
    return {
        "digest": inspection.digest,
        "file_bytes": inspection.file_bytes,
        "parameters": trained or counted,
        "macs": None if "macs" in total.lower_bounds else total.macs,
        "weights": total.weight_bytes + total.constant_bytes,
        "float32": all(
            layer.arithmetic == "float32" for layer in inspection.counts.layers if layer.macs
        ),
    }


def _memory(
    path: str, size: list[int], threads: int, provider: dict[str, Any], arena: bool
) -> Answer:
    from bench.measure.memory import memory_by_phase

    request = ProviderRequest(**provider)
    return memory_by_phase(path, (size[0], size[1]), threads, provider=request, arena=arena)


if __name__ == "__main__":
    main()
