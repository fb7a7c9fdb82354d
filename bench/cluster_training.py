"""The trainings of a study or a sweep as tasks of a Dask cluster.

A training is carried out in its own folder on shared storage, as in one process: after the cluster
is done, every run is finished there, and the study or the sweep goes on. A run whose worker is
killed is resumed on another one, from its last checkpoint.
"""

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from distributed import Client, Event, Future, KilledWorker, get_worker

from bench.schedule import Schedule
from bench.training import TrainingTask, epochs_done
from runtime.core.errors import ConfigError, SegmentationError, TrainingError
from runtime.core.machine import package_versions
from runtime.core.progress import Progress
from runtime.distributed.cluster import connected, ensure_same_versions, this_worker
from runtime.distributed.worker_watch import WorkerWatch
from train.config import TrainConfig
from train.run import train_network

PACKAGES = (
    "seg-toolkit",
    "numpy",
    "pillow",
    "pycocotools",
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
)
"""The distributions whose version may change a weight."""
_GPU = {"GPU": 1}
_EVERY_S = 1.0
"""Between two heartbeats of a training, and between two questions if it should stop."""


def train_on_cluster(scheduler: str, tasks: Sequence[TrainingTask], schedule: Schedule) -> None:
    """Train networks, or resume their runs, each on one worker of a cluster.

    With the device "cuda" a training takes a resource `GPU=1` of its worker.

    Args:
        scheduler: as for `runtime.distributed.cluster.connected`.
        schedule: has the steps of the tasks, which become parts of one step.

    Raises:
        ConfigError: no scheduler is there, or a worker has other versions, several threads, or no
            GPU where one is asked for.
        ClusterError: the scheduler went away.
        TrainingError: a training ended its worker process each time.
        StoppedError: `schedule.stop` returned True.
        SegmentationError: a training failed; the others have saved a checkpoint.
    """
    left = [task for task in tasks if epochs_done(task.folder) < task.config.epochs]
    steps = tuple(task.step for task in left)
    schedule.start("train the networks on the cluster", parts=steps)
    if not left:
        return
    progress = _Progress(schedule, left)
    with connected(scheduler, PACKAGES, progress.tell) as cluster:
        client = cluster.client
        _ensure_resources(client, left)
        name = f"trainings-{uuid4().hex}"
        client.subscribe_topic(name, progress.hear)
        versions = package_versions(PACKAGES)
        futures = {
            client.submit(
                _train, task, name, versions, pure=False, resources=_resources(task.config)
            ): task
            for task in left
        }
        _wait(futures, Event(name, client), progress, cluster)


class _Progress:
    """The progress of all trainings, from their heartbeats."""

    def __init__(self, schedule: Schedule, tasks: Sequence[TrainingTask]) -> None:
        self.schedule = schedule
        self._before = {task.step: epochs_done(task.folder) / task.config.epochs for task in tasks}
        self._fractions: dict[str, float] = {}
        self._notes: dict[str, str] = {}

    def hear(self, event: tuple[float, tuple[str, float, str]]) -> None:
        """Take note of a heartbeat. For Dask, in its own thread."""
        step, fraction, note = event[1]
        before = self._before[step]
        self._fractions[step] = max(0.0, (fraction - before) / (1.0 - before))
        self._notes[step] = f"{step}: {note}"

    def finish(self, step: str) -> None:
        """Take note of a training that is done."""
        self._fractions[step] = 1.0
        self._notes.pop(step, None)

    def tell(self, note: str) -> None:
        """Report what happened to the workers."""
        self.schedule.advance_parts(self._fractions.copy(), note, milestone=True)

    def show(self) -> None:
        """Report what was heard."""
        done = sum(fraction == 1.0 for fraction in self._fractions.values())
        notes = [f"{done} of {len(self._before)} trained", *self._notes.copy().values()]
        self.schedule.advance_parts(self._fractions.copy(), "; ".join(notes))


def _wait(
    futures: dict["Future[None]", TrainingTask],
    stop: "Event",
    progress: _Progress,
    cluster: WorkerWatch,
) -> None:
    """Wait for all trainings; stop the others where one fails, and raise its error."""
    failure: SegmentationError | None = None
    waiting = set(futures)
    while waiting:
        time.sleep(_EVERY_S)
        cluster.look()
        if failure is not None or progress.schedule.stop():
            stop.set()
        for future in [future for future in waiting if future.done()]:
            waiting.remove(future)
            error = _error(future, futures[future])
            if error is None:
                progress.finish(futures[future].step)
            failure = failure or error
        progress.show()
    progress.schedule.check()
    if failure is not None:
        raise failure


def _error(future: "Future[None]", task: TrainingTask) -> SegmentationError | None:
    """Return why a finished training failed."""
    try:
        future.result()
    except KilledWorker as error:
        times = error.allowed_failures + 1
        return TrainingError(f"{task.folder}: ended its worker process {times} times")
    except SegmentationError as error:
        return error
    return None


def _train(task: TrainingTask, name: str, versions: dict[str, str]) -> None:
    """Train a network, or resume its run. For a worker."""
    ensure_same_versions(this_worker(), package_versions(PACKAGES), versions)
    worker = get_worker()
    if worker.state.nthreads > 1:  # they share PyTorch's random generator
        raise ConfigError(
            f"{this_worker()} trains {worker.state.nthreads} networks at once; start it with "
            "--nthreads 1"
        )
    key, event = worker.get_current_task(), Event(name)

    def is_stopped() -> bool:
        # Dask cancels a task whose client went away, but cannot end its thread.
        task = worker.state.tasks.get(key)
        return event.is_set() or task is None or task.state == "cancelled"

    due = _Due()

    def heartbeat(progress: Progress) -> None:
        if progress.phase == "train" and due():
            worker.log_event(name, (task.step, progress.fraction, progress.note))

    train_network(
        task.config,
        task.folder,
        cache=task.cache,
        resume=True,
        on_progress=heartbeat,
        stop=_now_and_then(is_stopped),
    )


class _Due:
    """True at most once in `_EVERY_S` seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._last < _EVERY_S:
            return False
        self._last = now
        return True


def _now_and_then(ask: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function that asks at most once in `_EVERY_S` seconds; a yes stays."""
    due, answer = _Due(), False

    def asked() -> bool:
        nonlocal answer
        if not answer and due():
            answer = ask()
        return answer

    return asked


def _resources(config: TrainConfig) -> dict[str, int]:
    return _GPU if config.device == "cuda" else {}


def _ensure_resources(client: Client, tasks: Sequence[TrainingTask]) -> None:
    """Raise ConfigError where a training would wait forever for a GPU."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if any(_resources(task.config) for task in tasks) and not any(
        worker["resources"].get("GPU", 0) >= 1 for worker in workers
    ):
        raise ConfigError("no worker has a GPU; start those that do with --resources GPU=1")
