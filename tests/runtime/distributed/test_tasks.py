"""Tasks on a cluster of threads; a task that ends its workers raises what Dask would."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("distributed")
from distributed import Client

from runtime.core.errors import ImageError
from runtime.distributed.tasks import run_tasks
from runtime.distributed.worker_watch import WorkerWatch
from tests.support.thread_cluster import killed_worker, thread_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[WorkerWatch]:
    with thread_cluster(2) as workers, Client(workers, set_as_default=False) as client:
        watch = WorkerWatch(client, workers.scheduler_address)
        watch.wait()
        yield watch


@dataclass(frozen=True)
class Images:
    """The images from start to stop; those that are listed end a worker, or cannot be read."""

    start: int
    stop: int
    deadly: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()

    def split(self, pieces: int) -> "list[Images]":
        step = -(-(self.stop - self.start) // pieces)
        starts = range(self.start, self.stop, step)
        return [Images(a, min(a + step, self.stop), self.deadly, self.damaged) for a in starts]


def read(images: Images) -> None:
    for image in range(images.start, images.stop):
        if image in images.damaged:
            raise ImageError(f"{image}.png: damaged")
        if image in images.deadly:
            raise killed_worker("read")


def shards(images: int, size: int, **kinds: tuple[int, ...]) -> Iterator[Images]:
    return (Images(a, min(a + size, images), **kinds) for a in range(0, images, size))


def covered(found: list[tuple[Images, int]]) -> list[int]:
    return sorted(image for each, _ in found for image in range(each.start, each.stop))


def test_every_task_is_done_once(cluster: WorkerWatch) -> None:
    found = list(run_tasks(cluster, read, shards(100, 7), split=Images.split))
    assert covered(found) == list(range(100))
    assert not any(ended for _, ended in found)


def test_those_that_end_their_workers_are_found_and_no_others(cluster: WorkerWatch) -> None:
    deadly = (0, 41, 42, 99)
    found = list(run_tasks(cluster, read, shards(100, 40, deadly=deadly), split=Images.split))
    assert covered(found) == list(range(100))
    blamed = [(each.start, each.stop) for each, ended in found if ended == 3]
    assert sorted(blamed) == [(image, image + 1) for image in deadly]


def test_tasks_are_taken_when_workers_need_them(cluster: WorkerWatch) -> None:
    taken: list[Images] = []

    def counted() -> Iterator[Images]:
        for each in shards(200, 1):
            taken.append(each)
            yield each

    for number, _ in enumerate(run_tasks(cluster, read, counted(), split=Images.split)):
        assert len(taken) <= number + 12  # two workers: twice their threads, and eight


def test_an_error_of_a_task_ends_the_work(cluster: WorkerWatch) -> None:
    with pytest.raises(ImageError, match=r"^5\.png: damaged$"):
        list(run_tasks(cluster, read, shards(50, 2, damaged=(5,)), split=Images.split))
