"""`runtime.model.predict_files` on a Dask cluster: the same files, and the same results.

Workers write the files of their images, and beside them a part: the results of a shard in numbers.
Whatever dies, the same command goes on from the parts that are there. The client holds neither the
images nor their results: they are listed in files, and read one by one.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

from runtime.core.errors import ConfigError, ImageError, UseError
from runtime.core.files import ensure_apart, ensure_writable, write_text
from runtime.core.lock import locked
from runtime.core.machine import package_versions
from runtime.core.progress import ProgressCallback, ProgressNotes
from runtime.core.schema import to_dict
from runtime.core.settings import Resize
from runtime.data.orientation import Size
from runtime.distributed.cluster import connected, ensure_same_versions, ensure_seen, this_worker
from runtime.distributed.prediction_folder import (
    PredictionFolder,
    PredictionPart,
    PredictionPlan,
)
from runtime.distributed.tasks import run_tasks
from runtime.model.image_files import FoundImage, iter_images
from runtime.model.onnx_file import read_onnx
from runtime.model.predict_files import MapFormat, predict_files, result_files
from runtime.model.predictor import Predictor
from runtime.model.providers import CPU, ProviderRequest
from runtime.scoring.parts import shard_range

PACKAGES = (
    "seg-toolkit",
    "numpy",
    "onnxruntime",
    "pillow",
    "highdicom",
    "nibabel",
    "pydicom",
)
"""The distributions whose version may change a result."""
_PARTS = ".parts"


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """What to do with each image; see the arguments of `Predictor` and `predict_files`.

    Attributes:
        model, out: paths, which must mean the same on every worker.
        threads: of one task.
        skip_unreadable: skip images that cannot be read, instead of raising an error.
    """

    model: str
    out: str
    size: Size | None = None
    resize: Resize | None = None
    intensity: int | None = None
    verify: bool = True
    provider: str | ProviderRequest = CPU
    threads: int = 1
    map_format: MapFormat = "png"
    frame: int | None = None
    volume: int | None = None
    threshold: float | None = None
    skip_unreadable: bool = False

    def open(self) -> Predictor:
        """Return the opened network. Raises ModelError, ConfigError, ProviderError."""
        return Predictor(
            self.model,
            size=self.size,
            resize=self.resize,
            intensity=self.intensity,
            verify=self.verify,
            provider=self.provider,
            threads=self.threads,
        )


@dataclass(frozen=True, slots=True)
class _Shard:
    """A task: predict the images from `start` to `stop`, exclusively."""

    job: PredictionJob
    folder: str
    start: int
    stop: int

    def split(self, pieces: int) -> "list[_Shard]":
        """Return the shard in pieces, or in fewer where it has fewer images."""
        images = self.stop - self.start
        pieces = min(pieces, images)
        ranges = (shard_range(piece, pieces, images) for piece in range(1, pieces + 1))
        return [replace(self, start=self.start + a, stop=self.start + b) for a, b in ranges]


@contextmanager
def listed(
    job: PredictionJob, patterns: Sequence[str], shard_size: int = 64
) -> Iterator[PredictionFolder]:
    """List the images that patterns name in a folder below `job.out`, for the length of the block.

    The list of an earlier run that did not end is used again, with its parts, if it is the same.
    It is kept where an error ends the block.

    Args:
        patterns: as for `runtime.model.image_files.find_images`.
        shard_size: images of a task.

    Raises:
        ImageError: a pattern names no image, or a folder cannot be read.
        OutputError: a result cannot be written, or would replace one of the images.
        ModelError: the network's file cannot be read.
    """
    images = iter_images(patterns)
    first = next(images)  # raises where there is none, before anything is written
    parts = Path(job.out) / _PARTS
    ensure_writable(parts)
    with locked(parts):
        yield _folder(job, chain([first], images), shard_size, parts)
    shutil.rmtree(parts, ignore_errors=True)


def _folder(
    job: PredictionJob, found: Iterable[FoundImage], shard_size: int, parts: Path
) -> PredictionFolder:
    listing = PredictionFolder(parts / "listing")
    shutil.rmtree(listing.path, ignore_errors=True)
    images, digest = listing.list_images(found, shard_size)
    plan = PredictionPlan(
        read_onnx(job.model).digest, package_versions(PACKAGES), images, shard_size
    )
    key = json.dumps([to_dict(job), plan.digest, plan.versions, digest])
    folder = PredictionFolder(parts / hashlib.sha256(key.encode()).hexdigest()[:16])
    if not folder.plan_file.is_file():
        results = (result_files(image, job.out, job.map_format) for image in listing.all_images())
        ensure_apart(chain.from_iterable(results), (x.path for x in listing.all_images()))
        write_text(listing.plan_file, json.dumps(to_dict(plan)))
        listing.path.replace(folder.path)
    return folder


def predict_on_cluster(
    scheduler: str,
    job: PredictionJob,
    folder: PredictionFolder,
    on_progress: ProgressCallback | None = None,
) -> None:
    """Predict listed images on a cluster, and write their files as `predict_files` does.

    Args:
        scheduler: as for `runtime.distributed.cluster.connected`.
        folder: of the images, in which the results are written (`listed`).
        on_progress: called after each task, with numbers of images, and with what happens to the
            workers, as notes.

    Raises:
        ConfigError: no scheduler is there, or a worker has other versions, another network or not
            the folder of the images.
        ClusterError: the scheduler went away.
        ImageError: an image cannot be read, or ended its worker process each time, without
            `skip_unreadable`.
        SegmentationError: any other error of `predict_files`, on a worker.

    Finished parts are kept where an error ends the work.
    """
    plan = folder.plan()
    missing = list(folder.missing(plan.images, plan.shard_size))
    shards = (_Shard(job, str(folder.path), *bounds) for bounds in missing)
    done = plan.images - sum(stop - start for start, stop in missing)
    notes = ProgressNotes(on_progress, "predict")
    with connected(scheduler, PACKAGES, notes.tell) as cluster:
        for shard, ended in run_tasks(cluster, _predict, shards, split=_Shard.split):
            if ended:
                _set_aside(shard, ended)
            done += shard.stop - shard.start
            notes.advance(done, plan.images)


def _predict(shard: _Shard) -> None:
    """Write the files of a shard's images, and its part. For a worker."""
    folder, job = PredictionFolder(Path(shard.folder)), shard.job
    if folder.part_file(shard.start, shard.stop).is_file():
        return  # by a worker that was lost before it could tell
    predictor, plan = _open(job, shard.folder)
    images = folder.images(shard.start, shard.stop, plan.shard_size)
    ensure_seen(image.path for image in images)
    skipped: list[ImageError] = []
    written = predict_files(
        predictor,
        images,
        job.out,
        map_format=job.map_format,
        frame=job.frame,
        volume=job.volume,
        threshold=job.threshold,
        on_error=skipped.append if job.skip_unreadable else None,
    )
    part = PredictionPart(written, tuple(map(str, skipped)))
    folder.write_part(shard.start, shard.stop, part)


def _set_aside(shard: _Shard, ended: int) -> None:
    """Write the part of an image that ended so many workers, as a skipped one.

    Raises:
        ImageError: no image should be skipped.
    """
    folder = PredictionFolder(Path(shard.folder))
    (image,) = folder.images(shard.start, shard.stop, folder.plan().shard_size)
    reason = f"{image.path}: ended its worker process {ended} times"
    if not shard.job.skip_unreadable:
        raise ImageError(reason)
    folder.write_part(shard.start, shard.stop, PredictionPart((), (reason,)))


@lru_cache(maxsize=1)
def _open(job: PredictionJob, path: str) -> tuple[Predictor, PredictionPlan]:
    """Return the opened network, which a worker process keeps, and the plan.

    Raises:
        ConfigError: this worker has other versions, or another network, than the plan states.
    """
    try:
        plan = PredictionFolder(Path(path)).plan()
        predictor = job.open()
    except UseError as error:
        raise ConfigError(f"{this_worker()}: {error}") from error
    ensure_same_versions(this_worker(), package_versions(PACKAGES), plan.versions)
    if predictor.file.digest != plan.digest:
        raise ConfigError(
            f"{this_worker()}: the digest of {job.model} is {predictor.file.digest}, and "
            f"{plan.digest} elsewhere"
        )
    return predictor, plan
