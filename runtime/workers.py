"""Doing work ahead of its use, in threads, in order, and within bounds."""

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
    """Yield `function(item)` for each item, in the items' order.

    At most `ahead` results are computed or waiting at any time, so memory does not grow with the
    number of items, and the order does not depend on timing. An exception of `function` comes out
    at its item's place.

    Raises:
        ValueError: `ahead` or `workers` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead: expected 1 or more, found {ahead}")
    source = iter(items)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="map_ahead")
    try:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(source, ahead)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
