"""`runtime.model.predict_files` on a Dask cluster: the same files, and the same results.

Workers write the files of their images, and beside them a part: the results of a shard in numbers.
Whatever dies, the same command goes on from the parts that are there.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from runtime.core.errors import ConfigError, DataError, ImageError, UseError
from runtime.core.files import ensure_writable, write_text
from runtime.core.json_files import read_json
from runtime.core.lock import locked
from runtime.core.machine import package_versions
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.schema import from_dict, to_dict
from runtime.core.settings import Resize
from runtime.data.orientation import Size
from runtime.distributed.cluster import connected, ensure_same_versions, ensure_seen, this_worker
from runtime.distributed.tasks import PIECES, run_tasks
from runtime.model.image_files import FoundImage
from runtime.model.predict_files import (
    FilePrediction,
    MapFormat,
    ensure_results_apart,
    predict_files,
)
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
class PredictionPart:
    """The results of some images, in order.

    Attributes:
        skipped: why each image that cannot be read was skipped.
    """

    written: tuple[FilePrediction, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shard:
    """A task: predict images."""

    job: PredictionJob
    digest: str
    versions: tuple[tuple[str, str], ...]
    images: tuple[FoundImage, ...]

    @property
    def file(self) -> Path:
        """The file of the part, which is named by all that it depends on."""
        images = [[str(image.path), str(image.name)] for image in self.images]
        key = json.dumps([to_dict(self.job), self.digest, self.versions, images])
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return Path(self.job.out) / _PARTS / f"{name}.json"

    def split(self, pieces: int) -> "list[_Shard]":
        """Return the shard in pieces, or in fewer where it has fewer images."""
        images = len(self.images)
        pieces = min(pieces, images)
        ranges = (shard_range(piece, pieces, images) for piece in range(1, pieces + 1))
        return [replace(self, images=self.images[start:stop]) for start, stop in ranges]


def predict_on_cluster(
    scheduler: str,
    job: PredictionJob,
    images: Sequence[FoundImage],
    shard_size: int = 64,
    on_progress: ProgressCallback | None = None,
) -> PredictionPart:
    """Predict images on a cluster, and write their files as `predict_files` does.

    Args:
        scheduler: as for `runtime.distributed.cluster.connected`.
        shard_size: images of a task.
        on_progress: called after each task, with numbers of images.

    Raises:
        ConfigError: no scheduler is there, or a worker has other versions, another network or not
            the folder of the images.
        ClusterError: the scheduler went away.
        ImageError: an image cannot be read, or ended its worker process each time, without
            `skip_unreadable`.
        SegmentationError: any other error of `predict_files`, on a worker.

    Finished parts are kept where an error ends the work.
    """
    ensure_results_apart(images, job.out, job.map_format)
    parts = Path(job.out) / _PARTS
    ensure_writable(parts)
    versions = tuple(package_versions(PACKAGES).items())
    whole = _Shard(job, job.open().file.digest, versions, tuple(images))
    shards = whole.split(-(-len(images) // shard_size))
    with locked(parts), connected(scheduler, PACKAGES) as client:
        missing = [shard for shard in shards if not shard.file.is_file()]
        done = len(images) - sum(len(shard.images) for shard in missing)
        for shard, ended in run_tasks(client, _predict, missing, split=_Shard.split):
            if ended:
                _set_aside(shard, ended)
            done += len(shard.images)
            if on_progress is not None:
                on_progress(Progress(done, len(images), "predict"))
        found = [part for shard in shards for part in _parts(shard)]
    shutil.rmtree(parts, ignore_errors=True)
    return PredictionPart(
        tuple(one for part in found for one in part.written),
        tuple(reason for part in found for reason in part.skipped),
    )


def _predict(shard: _Shard) -> None:
    """Write the files of a shard's images, and its part. For a worker."""
    file, job = shard.file, shard.job
    if file.is_file():  # by a worker that was lost before it could tell
        return
    predictor = _open(job, shard.digest, shard.versions)
    ensure_seen(image.path for image in shard.images)
    skipped: list[ImageError] = []
    written = predict_files(
        predictor,
        shard.images,
        job.out,
        map_format=job.map_format,
        frame=job.frame,
        volume=job.volume,
        threshold=job.threshold,
        on_error=skipped.append if job.skip_unreadable else None,
    )
    _write(file, PredictionPart(written, tuple(map(str, skipped))))


def _set_aside(shard: _Shard, ended: int) -> None:
    """Write the part of an image that ended so many workers, as a skipped one.

    Raises:
        ImageError: no image should be skipped.
    """
    (image,) = shard.images
    reason = f"{image.path}: ended its worker process {ended} times"
    if not shard.job.skip_unreadable:
        raise ImageError(reason)
    _write(shard.file, PredictionPart((), (reason,)))


@lru_cache(maxsize=1)
def _open(job: PredictionJob, digest: str, versions: tuple[tuple[str, str], ...]) -> Predictor:
    """Return the opened network, which a worker process keeps.

    Raises:
        ConfigError: this worker has other versions, or another network, than the client.
    """
    ensure_same_versions(this_worker(), package_versions(PACKAGES), dict(versions))
    try:
        predictor = job.open()
    except UseError as error:
        raise ConfigError(f"{this_worker()}: {error}") from error
    if predictor.file.digest != digest:
        raise ConfigError(
            f"{this_worker()}: the digest of {job.model} is {predictor.file.digest}, and {digest} "
            "elsewhere"
        )
    return predictor


def _write(file: Path, part: PredictionPart) -> None:
    write_text(file, json.dumps(to_dict(part)))


def _parts(shard: _Shard) -> Iterator[PredictionPart]:
    """Yield the part of a shard, or those of its pieces. Raises DataError."""
    file, pieces = shard.file, shard.split(PIECES)
    if file.is_file() or len(pieces) == 1:
        content = read_json(file, error=DataError)
        yield from_dict(PredictionPart, content, where=str(file), error=DataError)
    else:
        for piece in pieces:
            yield from _parts(piece)
