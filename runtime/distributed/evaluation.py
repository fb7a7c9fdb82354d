"""`runtime.evaluate_files` on a Dask cluster: the same report, to the bit.

One task reads the data set and lists its images in shards, in a folder that all workers share. A
task for each shard writes a part beside it. The client knows the folder and numbers alone, and
merges the parts in the end. Whatever dies, the same command goes on from the parts that are there.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from runtime.core.errors import ConfigError, ImageError, OutputError, UseError
from runtime.core.files import ensure_apart
from runtime.core.lock import locked
from runtime.core.machine import package_versions
from runtime.core.progress import ProgressCallback, ProgressNotes
from runtime.core.schema import to_dict
from runtime.data.coco import read_dataset
from runtime.data.layouts import find_splits
from runtime.data.readable import Skipped
from runtime.distributed.cluster import (
    connected,
    ensure_same_versions,
    ensure_seen,
    this_worker,
)
from runtime.distributed.evaluation_folder import EvaluationFolder, Plan
from runtime.distributed.tasks import run_tasks
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation_run import EvaluationSettings, open_evaluation, open_predictors
from runtime.scoring.merging import merge
from runtime.scoring.part_files import read_part, write_part
from runtime.scoring.parts import Part, shard_range
from runtime.scoring.patients import require_patients
from runtime.scoring.results import EvaluationReport
from runtime.scoring.scorer import SCORING_PACKAGES, Scorer, computed_with


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """An evaluation on a cluster.

    Attributes:
        models, data: paths, which must mean the same on every worker.
        settings: those of `evaluate_files`; `threads` are those of one task.
        parts: the folder for the parts, on storage that all workers and the client share.
        shard_size: images of a task.
        outputs: files that the caller will write; none may be a file of the data set.
        patients: require that every image states its patient.
    """

    models: tuple[str, ...]
    data: str
    settings: EvaluationSettings
    parts: str
    shard_size: int = 256
    outputs: tuple[str, ...] = ()
    patients: bool = False


@dataclass(frozen=True, slots=True)
class _Shard:
    """A task: score the images from `start` to `stop`, exclusively."""

    job: EvaluationJob
    versions: tuple[tuple[str, str], ...]
    folder: str
    start: int
    stop: int

    def split(self, pieces: int) -> "list[_Shard]":
        images = self.stop - self.start
        pieces = min(pieces, images)
        ranges = (shard_range(piece, pieces, images) for piece in range(1, pieces + 1))
        return [replace(self, start=self.start + a, stop=self.start + b) for a, b in ranges]


@contextmanager
def evaluated(
    scheduler: str, job: EvaluationJob, on_progress: ProgressCallback | None = None
) -> Iterator[EvaluationReport]:
    """Score files on a cluster, and yield the report; its parts are removed after the block.

    Args:
        scheduler: as for `runtime.distributed.cluster.connected`.
        on_progress: called after each task, with numbers of images, and with what happens to the
            workers, as notes.

    Raises:
        ConfigError: no scheduler is there, or a worker has other versions or files.
        ClusterError: the scheduler went away.
        ImageError: an image cannot be read, or ended its worker process each time, without
            `skip_unreadable`.
        SegmentationError: any other error of `evaluate_files`, on a worker.

    Finished parts are kept where an error ends the work.
    """
    notes = ProgressNotes(on_progress, "score")
    with connected(scheduler, SCORING_PACKAGES, notes.tell) as cluster:
        versions = tuple(package_versions(SCORING_PACKAGES).items())
        planning = cluster.client.submit(_plan, job, pure=False)
        folder = EvaluationFolder(Path(cluster.result(planning)))
        if not folder.is_written:
            raise OutputError(
                f"{folder.path}: not written where this process reads it; --parts needs a folder "
                "that all workers share, as an absolute path"
            )
        with locked(folder.path):
            plan = folder.plan()
            missing = list(folder.missing(plan.images, plan.shard_size))
            shards = (_Shard(job, versions, str(folder.path), *bounds) for bounds in missing)
            done = plan.images - sum(stop - start for start, stop in missing)
            for shard, ended in run_tasks(cluster, _score, shards, split=_Shard.split):
                if ended:
                    cluster.result(cluster.client.submit(_set_aside, shard, ended, pure=False))
                done += shard.stop - shard.start
                notes.advance(done, plan.images)
        yield merge((str(path), read_part(path)) for path in folder.parts())
    shutil.rmtree(folder.path, ignore_errors=True)


def _plan(job: EvaluationJob) -> str:
    """Write the folder of an evaluation, unless it is there; return its path. For a worker."""
    try:
        predictors = open_predictors(job.models, job.settings)
        dataset = read_dataset(job.data)
        places = find_splits(dataset.root)
        lists = [
            places[n].file for n in dict.fromkeys((job.settings.split, "train")) if n in places
        ]
        key = [job.data, to_dict(job.settings), computed_with(predictors, lists)]
    except UseError as error:
        raise ConfigError(f"{this_worker()}: {error}") from error
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    folder = EvaluationFolder(Path(job.parts) / digest[:16])
    if job.patients:
        require_patients(dataset.split(job.settings.split, allow_missing=True))
    ensure_apart(job.outputs, dataset.files)
    if not folder.is_written:
        run = open_evaluation(job.models, dataset, job.settings)
        if run.scores_volumes:
            raise ConfigError(
                f"{job.data}: --surface and --lesions take whole volumes here, which --scheduler "
                "divides; give --shard"
            )
        folder.write(run, job.shard_size)
    return str(folder.path)


def _score(shard: _Shard) -> None:
    """Write the part of a shard. For a worker."""
    folder = EvaluationFolder(Path(shard.folder))
    file = folder.part_file(shard.start, shard.stop)
    if file.is_file():  # by a worker that was lost before it could tell
        return
    scorer, plan = _open(shard.job, shard.versions, shard.folder)
    samples = folder.samples(shard.start, shard.stop, plan)
    ensure_seen(sample.path for sample in samples)
    part = scorer.part(samples, shard.start, plan.images, plan.identity)
    write_part(file, _headed(part, plan))


def _set_aside(shard: _Shard, ended: int) -> None:
    """Write the part of an image that ended so many workers, as a skipped one. For a worker.

    Raises:
        ImageError: no image should be skipped.
    """
    folder = EvaluationFolder(Path(shard.folder))
    scorer, plan = _open(shard.job, shard.versions, shard.folder)
    (sample,) = folder.samples(shard.start, shard.stop, plan)
    reason = f"{sample.path}: ended its worker process {ended} times"
    if not shard.job.settings.skip_unreadable:
        raise ImageError(reason)
    part = scorer.part((), shard.start, plan.images, plan.identity)
    skipped = (Skipped(scorer.split, sample.file_name, reason),)
    part = replace(part, stop=shard.stop, skipped=skipped)
    write_part(folder.part_file(shard.start, shard.stop), _headed(part, plan))


def _headed(part: Part, plan: Plan) -> Part:
    return part if part.start else replace(part, heading=plan.heading)


@lru_cache(maxsize=1)
def _open(
    job: EvaluationJob, versions: tuple[tuple[str, str], ...], path: str
) -> tuple[Scorer, Plan]:
    """Return the opened networks, which a worker process keeps, and the plan.

    Raises:
        ConfigError: this worker has other versions, or other files, than the plan states.
    """
    ensure_same_versions(this_worker(), package_versions(SCORING_PACKAGES), dict(versions))
    folder = EvaluationFolder(Path(path))
    try:
        plan = folder.plan()
        predictors = open_predictors(job.models, job.settings)
        _ensure_same_files(predictors, plan)
        train = folder.train(plan)
    except UseError as error:
        raise ConfigError(f"{this_worker()}: {error}") from error
    heading = plan.heading
    scorer = Scorer(
        predictors=predictors,
        split=heading.split,
        masks=heading.masks,
        clinical=heading.clinical,
        unit=heading.unit,
        train=train,
        skip_unreadable=job.settings.skip_unreadable,
    )
    return scorer, plan


def _ensure_same_files(predictors: Sequence[Predictor], plan: Plan) -> None:
    """Raise ConfigError if this worker sees other networks or another COCO file than the plan."""
    found = computed_with(predictors, [Path(plan.heading.annotation_file)])
    for name, value in found.items():
        if plan.identity[name] != value:
            raise ConfigError(f"{name} is {value}, and {plan.identity[name]} elsewhere")
