import threading

import numpy as np
import pytest

from moebius.patchmatch import search


def hole_at(shape, top, left, bottom, right):
    hole = np.zeros(shape, bool)
    hole[top:bottom, left:right] = True
    return hole


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_workers_do_every_band_once(threads):
    done, portions = [], []
    with search.Workers(threads, portions.append) as workers:
        workers.each(lambda a, b: done.append((a, b)), search.bands(103, 10, max_rows=4))
    assert sorted(done) == search.bands(103, 10, max_rows=4)
    assert sum(portions) == pytest.approx(1)


@pytest.mark.parametrize("threads", [1, 3])
def test_workers_start_nothing_after_a_cancel(threads):
    started = []
    lock = threading.Lock()

    def work(first, last):
        with lock:
            started.append(first)

    def tick(portion):
        raise KeyboardInterrupt

    with search.Workers(threads, tick) as workers, pytest.raises(KeyboardInterrupt):
        workers.each(work, [(k, k + 1) for k in range(1000)])
    assert len(started) <= 3 * threads


def test_workers_refuse_no_threads():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        search.Workers(0)


def test_bands_cover_all_rows_and_are_small():
    for rows, columns in ((1, 1), (100, 7), (1000, 5000)):
        cut = search.bands(rows, columns)
        assert cut[0][0] == 0 and cut[-1][1] == rows
        assert all(a[1] == b[0] for a, b in zip(cut, cut[1:], strict=False))
        assert all((b - a) * columns <= search.BAND_PATCHES for a, b in cut)


@pytest.mark.parametrize("margin", [0, 1])
def test_usable_patches_are_wholly_known(margin):
    hole = np.random.default_rng(0).random((30, 27)) < 0.02
    usable = search.usable_patches(hole, margin)
    assert usable.shape == (23, 20)
    for y in range(23):
        for x in range(20):
            near = hole[max(y - margin, 0) : y + 8 + margin, max(x - margin, 0) : x + 8 + margin]
            assert usable[y, x] == (not near.any())


def test_usable_patches_of_tiny_pictures():
    assert search.usable_patches(np.zeros((5, 30), bool)).size == 0


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("box", [(0, 0, 5, 5), (40, 33, 61, 53), (20, 1, 33, 53), (60, 52, 61, 53)])
def test_grid_covers_the_hole(box, stride):
    hole = hole_at((61, 53), *box)
    grid = search.grid_of(hole, stride)
    assert grid.hole.sum() == hole.sum() and hole[grid.box].sum() == hole.sum()
    covered = np.zeros(grid.hole.shape, bool)
    for row, column in np.argwhere(grid.active):
        covered[row * stride : row * stride + 8, column * stride : column * stride + 8] = True
    assert not (grid.hole & ~covered)[: -(stride - 1) or None, : -(stride - 1) or None].any()


def test_field_refuses_a_photo_without_known_patches():
    hole = hole_at((20, 20), 0, 0, 20, 16)
    with search.Workers(1) as workers, pytest.raises(ValueError, match="no patch"):
        search.Field(search.grid_of(hole, 1), search.usable_patches(hole), 0, workers)
