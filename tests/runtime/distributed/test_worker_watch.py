"""What is told of workers that are awaited, that come, and that are gone."""

from collections.abc import Iterator

import pytest

pytest.importorskip("distributed")
from distributed import Client, LocalCluster

from runtime.distributed import worker_watch
from runtime.distributed.cluster import connected
from runtime.distributed.worker_watch import WorkerWatch
from tests.support.thread_cluster import thread_cluster


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_watch, "_LOOK_S", 0.0)
    monkeypatch.setattr(worker_watch, "_WAIT_S", 0.01)


@pytest.fixture
def workers() -> Iterator[LocalCluster]:
    with thread_cluster(0) as cluster:
        yield cluster


def test_workers_are_awaited_and_counted_when_they_come(workers: LocalCluster) -> None:
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        workers.scale(2)

    address = workers.scheduler_address
    with connected(address, [], tell) as watch:
        while watch.threads < 2:
            watch.look()
    assert told[0] == f"waiting for workers at {address}"
    assert told[-1] == f"2 workers at {address}"
    assert told[1:-1] in ([], [f"1 worker at {address}"])


def test_workers_that_are_gone_are_named(workers: LocalCluster) -> None:
    told: list[str] = []
    workers.scale(2)
    workers.wait_for_workers(2)
    with Client(workers, set_as_default=False) as client:
        watch = WorkerWatch(client, "here", told.append)
        watch.look()
        assert told == []
        gone = next(iter(client.nthreads()))
        client.retire_workers([gone])
        while watch.threads > 1:
            watch.look()
    assert told == [f"the worker {gone} is gone; its work is done elsewhere"]


def test_the_error_of_a_task_is_raised(workers: LocalCluster) -> None:
    workers.scale(1)
    with Client(workers, set_as_default=False) as client:
        watch = WorkerWatch(client, "here")
        assert watch.result(client.submit(int, "7")) == 7
        with pytest.raises(TimeoutError, match="of its own"):
            watch.result(client.submit(_run_out_of_time, pure=False))


def _run_out_of_time() -> None:
    raise TimeoutError("of its own")
