"""Tasks on a Dask cluster: a bounded number at a time, and blame for those that end their workers.

Dask runs the tasks of a killed worker elsewhere. It gives a task up after it lost several workers
(`distributed.scheduler.allowed-failures`). The task need not be the cause: all tasks that a worker
had, running or waiting, are counted. So tasks that were given up are split, and their pieces run
alone, one after the other, until a single piece that cannot be split is the cause.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from distributed import Future, KilledWorker, as_completed

from runtime.distributed.worker_watch import WorkerWatch

Task = TypeVar("Task")

PIECES = 16
"""Into so many pieces a task that was given up is split: more lose fewer workers."""
_AHEAD = 8
"""Tasks beyond two for each thread that are waiting, so that no worker idles."""
_WAIT_S = 0.05
"""Between two looks for finished tasks."""


def run_tasks(
    cluster: WorkerWatch,
    function: Callable[[Task], None],
    tasks: Iterable[Task],
    *,
    split: Callable[[Task, int], Sequence[Task]],
) -> Iterator[tuple[Task, int]]:
    """Yield each task when it is done, with 0, or given up, with the number of workers it ended.

    Args:
        function: carries out a task on a worker.
        tasks: taken from the iterator when workers need them.
        split: returns a task in pieces, at most so many; a task that cannot be split as it is.

    Raises:
        Exception: any error of `function`, or of `tasks`.
        concurrent.futures.CancelledError: the scheduler went away.
    """
    given_up: list[Task] = []
    for task, ended in _run_together(cluster, function, tasks):
        if ended:
            given_up.append(task)
        else:
            yield task, 0
    while given_up:
        for piece in split(given_up.pop(), PIECES):
            ended = _workers_ended(cluster, cluster.client.submit(function, piece, pure=False))
            if ended and len(split(piece, PIECES)) > 1:
                given_up.append(piece)
            else:
                yield piece, ended


def _run_together(
    cluster: WorkerWatch, function: Callable[[Task], None], tasks: Iterable[Task]
) -> Iterator[tuple[Task, int]]:
    """Yield each task when it is done or given up."""
    client, source, known = cluster.client, iter(tasks), dict[Any, Task]()
    flying = as_completed(loop=client.loop)

    def fill() -> None:
        room = 2 * cluster.threads + _AHEAD
        while len(known) < room and (task := next(source, None)) is not None:
            future = client.submit(function, task, pure=False)
            known[future.key] = task
            flying.add(future)

    try:
        fill()
        while known:
            while not flying.has_ready():
                time.sleep(_WAIT_S)
                cluster.look()
            future = next(flying)
            task = known.pop(future.key)
            yield task, _workers_ended(cluster, future)
            fill()
    finally:
        flying.clear()


def _workers_ended(cluster: WorkerWatch, future: "Future[Any]") -> int:
    """Wait for a task, and return 0 if it is done, or the number of workers that it ended."""
    try:
        cluster.result(future)
    except KilledWorker as error:
        return error.allowed_failures + 1
    return 0
