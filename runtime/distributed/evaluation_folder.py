"""The folder that the workers of an evaluation share: its plan, its images in shards, its parts.

The plan is written last: a folder without one is begun again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import DataError
from runtime.core.files import replacing, write_text
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict, to_dict
from runtime.data.samples import Sample
from runtime.distributed.shard_folder import ShardFolder
from runtime.scoring.baselines import TrainingMasks
from runtime.scoring.evaluation_run import EvaluationRun
from runtime.scoring.parts import Heading


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker must know of an evaluation.

    Attributes:
        identity, images, heading: as in `runtime.scoring.parts.Part`.
        shard_size: images of a shard; the last one may have fewer.
        sizes: (height, width) of the baselines; empty without them.
    """

    identity: dict[str, str]
    images: int
    heading: Heading
    shard_size: int
    sizes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class EvaluationFolder(ShardFolder):
    """The files of an evaluation in a shared folder."""

    def write(self, run: EvaluationRun, shard_size: int) -> None:
        """Write everything that workers need. Raises OutputError."""
        samples, known = run.split.samples, run.scorer.train
        for start in range(0, len(samples), shard_size):
            self._write_samples(self.shard_file(start), samples[start : start + shard_size])
        if known:
            self._write_samples(self.path / "train.json", known[0].samples)
            self._write_array("thumbnails.npy", known[0].thumbnails)
        for number, each in enumerate(known):
            self._write_array(f"mean-{number}.npy", each.mean)
        sizes = tuple(each.size for each in known)
        plan = Plan(run.identity, run.images, run.heading(), shard_size, sizes)
        write_text(self._plan, json.dumps(to_dict(plan)))

    @property
    def is_written(self) -> bool:
        """Whether everything that workers need is there."""
        return self._plan.is_file()

    def plan(self) -> Plan:
        """Return the plan. Raises DataError."""
        content = read_json(self._plan, error=DataError)
        return from_dict(Plan, content, where=str(self._plan), error=DataError)

    def samples(self, start: int, stop: int, plan: Plan) -> tuple[Sample, ...]:
        """Return the images from `start` to `stop`, exclusively, which are in one shard."""
        first = start - start % plan.shard_size
        return self._read_samples(self.shard_file(first))[start - first : stop - first]

    def train(self, plan: Plan) -> tuple[TrainingMasks, ...]:
        """Return what the baselines know. Raises DataError."""
        if not plan.sizes:
            return ()
        samples, thumbnails = (
            self._read_samples(self.path / "train.json"),
            self._read_array("thumbnails.npy"),
        )
        return tuple(
            TrainingMasks(
                samples=samples,
                masks=plan.heading.masks,
                size=(height, width),
                mean=self._read_array(f"mean-{number}.npy"),
                thumbnails=thumbnails,
            )
            for number, (height, width) in enumerate(plan.sizes)
        )

    @property
    def _plan(self) -> Path:
        return self.path / "plan.json"

    def _write_samples(self, path: Path, samples: Sequence[Sample]) -> None:
        # Python's own JSON: a segmentation that nobody has checked may hold NaN.
        content = json.dumps([to_dict(sample) for sample in samples])
        write_text(path, content)

    def _read_samples(self, path: Path) -> tuple[Sample, ...]:
        content = read_json(path, error=DataError)
        return tuple(from_dict(Sample, each, where=str(path), error=DataError) for each in content)

    def _write_array(self, name: str, array: NDArray[np.float32]) -> None:
        with replacing(self.path / name) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    def _read_array(self, name: str) -> NDArray[np.float32]:
        path = self.path / name
        try:
            found: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read") from error
        return found
