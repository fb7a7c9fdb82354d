"""Doing work ahead, in threads, in order, within bounds."""

import threading
import time
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.workers import batched, map_ahead

SIZES = st.integers(1, 6)


class Source:
    """Counts what is taken from it."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.length):
            self.taken += 1
            yield number


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("map_ahead")]


@given(st.lists(st.integers()), SIZES, SIZES)
@settings(max_examples=30, deadline=None)
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int, ahead: int) -> None:
    found = list(map_ahead(lambda n: n * n, items, workers=workers, ahead=ahead))
    assert found == [n * n for n in items]


def test_a_slow_first_item_does_not_let_others_overtake_it() -> None:
    others_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert others_done.wait(timeout=300)
        elif number == 3:
            others_done.set()
        return number

    assert list(map_ahead(work, range(6), workers=4, ahead=4)) == list(range(6))


@given(st.integers(0, 20), SIZES, SIZES)
@settings(max_examples=30, deadline=None)
def test_no_more_than_ahead_items_are_taken_beyond_those_yielded(
    length: int, workers: int, ahead: int
) -> None:
    source = Source(length)
    results = map_ahead(lambda n: n, source, workers=workers, ahead=ahead)
    assert source.taken == 0
    for yielded, _ in enumerate(results, start=1):
        assert source.taken <= yielded + ahead
    assert source.taken == length


def test_work_runs_at_once_in_as_many_threads_as_asked() -> None:
    together = threading.Barrier(3)

    def work(number: int) -> int:
        together.wait(timeout=300)  # breaks, and raises, where fewer than three run at once
        return number

    assert list(map_ahead(work, range(6), workers=3, ahead=3)) == list(range(6))


@pytest.mark.parametrize("ahead", [1, 3, 10])
def test_an_exception_comes_out_at_its_items_place(ahead: int) -> None:
    def work(number: int) -> int:
        if number == 4:
            raise ValueError("item 4")
        return number

    results = map_ahead(work, range(8), workers=2, ahead=ahead)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="item 4"):
        next(results)
    assert list(results) == []
    assert not threads()


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt, MemoryError])
def test_whatever_ends_a_thread_s_work_comes_out_at_its_items_place(
    fault: type[BaseException],
) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise fault
        return number

    results = map_ahead(work, range(6), workers=2, ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(fault):
        next(results)
    assert not threads()


def test_a_thread_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []
    refused = threading.Event()

    def limited(thread: threading.Thread) -> None:
        if started:
            refused.set()
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    # Work that lasts, so that the first thread does not take the second item too.
    results = map_ahead(lambda _: refused.wait(60), range(6), workers=4, ahead=4)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(results)


@pytest.mark.parametrize("ahead", [1, 2, 3, 9])
def test_an_exception_of_the_source_comes_out_at_its_place(ahead: int) -> None:
    def source() -> Iterator[int]:
        yield from range(4)
        raise ValueError("the source broke")

    results = map_ahead(lambda n: n, source(), workers=2, ahead=ahead)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="the source broke"):
        next(results)
    assert list(results) == []
    assert not threads()


def test_a_generator_closed_early_takes_no_more_and_ends_its_threads() -> None:
    source = Source(1000)
    results = map_ahead(lambda n: n, source, workers=2, ahead=3)
    assert next(results) == 0
    assert threads()
    results.close()  # type: ignore[attr-defined]
    assert source.taken <= 1 + 3
    assert not threads()
    assert list(results) == []


def test_ahead_of_nothing_is_refused_rather_than_yielding_nothing() -> None:
    with pytest.raises(ValueError, match="ahead"):
        list(map_ahead(lambda n: n, [1, 2, 3], workers=1, ahead=0))


@given(st.lists(st.integers()), SIZES)
def test_batches_are_full_but_for_the_last(items: list[int], size: int) -> None:
    found = list(batched(items, size))
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == size for batch in found[:-1])
    assert all(0 < len(batch) <= size for batch in found)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_what_came_before_an_exception_is_a_batch(size: int) -> None:
    def items() -> Iterator[int]:
        yield from range(4)
        raise ValueError("item 4")

    found: list[int] = []
    with pytest.raises(ValueError, match="item 4"):
        found.extend(chain.from_iterable(batched(items(), size)))
    assert found == [0, 1, 2, 3]


def test_what_was_not_begun_when_the_reader_left_is_never_computed() -> None:
    computed: list[int] = []

    def slow(item: int) -> int:
        computed.append(item)
        time.sleep(0.05)
        return item

    results = map_ahead(slow, range(1000), workers=1, ahead=500)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(computed) < 500
