"""A Dask cluster of threads in this process, and the error that it cannot cause by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from distributed import KilledWorker, LocalCluster


@contextmanager
def thread_cluster(workers: int, threads: int = 1) -> Iterator[LocalCluster]:
    """Yield a cluster of so many workers, each with so many threads."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=False,
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster


def killed_worker(task: str) -> KilledWorker:
    """Return what Dask raises for a task that ended three workers: a thread cannot be killed."""
    worker: Any = SimpleNamespace(address="inproc://gone")
    return KilledWorker(task, worker, 2)
