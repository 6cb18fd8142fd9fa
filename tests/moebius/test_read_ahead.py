import gc
import threading
import weakref

import pytest

from moebius.read_ahead import read_ahead


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("depth", [0, 2, 50, lambda: 3])
def test_pairs_come_in_order(workers, depth):
    assert list(read_ahead(range(20), lambda n: n * n, depth, workers)) == [(n, n * n) for n in range(20)]
    assert list(read_ahead([], str, depth, workers)) == []


def test_no_more_is_read_than_the_depth():
    begun = []
    pairs = read_ahead(range(10), begun.append, 2, 1)
    next(pairs)
    assert begun in ([0], [0, 1], [0, 1, 2])  # 1 and 2 may be on their way
    for _ in range(4):
        next(pairs)
    assert max(begun) <= 6
    pairs.close()


def test_the_next_items_are_read_while_one_is_worked_on():
    read = {n: threading.Event() for n in range(4)}
    pairs = read_ahead(range(4), lambda n: read[n].set(), 2, 1)
    next(pairs)
    assert read[1].wait(30) and read[2].wait(30) and not read[3].is_set()
    pairs.close()


def test_an_error_comes_in_its_turn_and_ends_the_reading():
    begun = []

    def picky(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ValueError("two")
        return n

    pairs = read_ahead(range(100), picky, 3, 2)
    assert [next(pairs), next(pairs)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="two"):
        next(pairs)
    assert list(pairs) == [] and max(begun) <= 5


def test_closing_cancels_what_has_not_begun_and_waits_for_what_has():
    started, go, finished = threading.Event(), threading.Event(), []

    def slow(n: int) -> None:
        if n == 1:
            started.set()
            go.wait(30)
        finished.append(n)

    pairs = read_ahead(range(9), slow, 5, 1)
    next(pairs)
    assert started.wait(30)
    closing = threading.Thread(target=pairs.close)
    closing.start()
    go.set()
    closing.join(30)
    assert not closing.is_alive() and finished == [0, 1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_what_was_handed_out_is_not_held():
    class Photo:
        pass

    pairs = read_ahead(range(3), lambda n: Photo(), 1, 1)
    first = weakref.ref(next(pairs)[1])
    gc.collect()
    assert first() is None
    pairs.close()
