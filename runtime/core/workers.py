"""Ordered, bounded work ahead of its use in threads, and batches of items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order, computed in threads.

    At most `ahead` results are being computed or waiting at any time, so memory does not grow with
    the number of items. An exception of `function` or of `items` is raised at its item's position.

    Raises:
        ValueError: `ahead` or `workers` is less than 1.

    Example:
        >>> list(map_ahead(abs, [-3, 1, -2], workers=2, ahead=2))
        [3, 1, 2]
    """
    if ahead < 1:
        raise ValueError(f"ahead: expected 1 or more, found {ahead}")
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="map_ahead")

    def submitted() -> Iterator[Future[Result]]:
        source = iter(items)
        while True:
            try:
                item = next(source)
            except StopIteration:
                return
            except Exception as error:
                failed: Future[Result] = Future()
                failed.set_exception(error)
                yield failed
                return
            yield pool.submit(function, item)

    futures = submitted()
    try:
        waiting = deque(islice(futures, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(islice(futures, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`; the last list may be shorter.

    If `items` raises an exception, the items before it are yielded first, even as a short batch.

    Example:
        >>> list(batched("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    batch: list[Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
