"""Squares of several holes and photos in one call: the same fills as alone, and everyone answers for their own."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from moebius.config import SamplingConfig
from moebius.fill.result import Fill
from moebius.fill.scheduler import Scheduler, fill_photo
from moebius.inpainters.base import Inpainter
from moebius.progress import Cancelled

CONFIG = SamplingConfig(feather_px=3)


class Noisy(Inpainter):
    """Paints the mean of what it sees plus noise; keeps the number of squares of every call."""

    name, size = "noisy", 64

    def __init__(self, bad: int = -1, room_for: int = 100) -> None:
        self.calls, self.bad, self.room_for = [], bad, room_for

    def fill_squares(self, pictures, masks, config, generators, progress):
        self.calls.append(len(pictures))
        progress(0.5, "Painting")
        noise = [10 * torch.randn(picture.shape, generator=g).numpy() for picture, g in zip(pictures, generators)]  # noqa: B905
        progress.step_ended("cpu"), progress.step_ended("cpu")
        if len(pictures) > self.room_for:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if any((picture[~mask] == self.bad).all() for picture, mask in zip(pictures, masks, strict=True)):
            raise ValueError("this one is bad")
        return [picture.mean((0, 1)) + each for picture, each in zip(pictures, noise, strict=True)]


def photo(level: int, boxes) -> tuple[np.ndarray, np.ndarray]:
    """A picture of nearly one level, (200, 900), and holes."""
    picture = np.full((200, 900, 3), level, np.uint8)
    mask = np.zeros((200, 900), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return picture, mask


APART = [(20, 20, 40, 40), (300, 60, 330, 90), (600, 20, 620, 50), (800, 150, 830, 170)]
WIRE = [(50, 95, 850, 100)]
CROWDED = [(100, 20, 200, 120), (235, 20, 335, 120), (370, 20, 470, 120), (700, 100, 720, 120)]
PHOTOS = [photo(30, APART), photo(60, WIRE), photo(90, CROWDED), photo(120, APART[:1]), photo(150, APART[1:3])]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(model: Inpainter, photos, batch_size, **fields) -> dict[int, Fill | Exception]:
    scheduler = Scheduler(lambda: model, CONFIG, batch_size)
    results = {}
    for number, (picture, mask) in enumerate(photos):
        results.update(scheduler.add(number, Image.fromarray(picture), mask, seeded(number), **fields))
    results.update(scheduler.flush())
    assert sorted(results) == list(range(len(photos)))
    return results


@pytest.fixture(scope="module")
def alone() -> list[Fill]:
    return [
        fill_photo(Noisy(), Image.fromarray(picture), mask, CONFIG, seeded(number), batch_size=1)
        for number, (picture, mask) in enumerate(PHOTOS)
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_fills_are_the_same_however_many_share_a_call(alone, batch_size):
    model = Noisy()
    results = filled(model, PHOTOS, batch_size)
    for number, expected in enumerate(alone):
        assert results[number].raster.tobytes() == expected.raster.tobytes()
        assert results[number].squares == expected.squares
        np.testing.assert_array_equal(results[number].changed, expected.changed)
    ready = 4 + 1 + 2 + 1 + 2  # tiles of the five photos that wait for no other
    assert max(model.calls) == min(batch_size, ready), model.calls
    assert sum(model.calls) == sum(len(fill.squares) for fill in alone), "no tile twice, and none left out"


def test_two_holes_in_opposite_corners_of_a_picture_of_the_models_size_are_one_pass():
    mask = np.zeros((64, 64), bool)
    mask[2:8, 2:8] = mask[55:62, 55:62] = True
    model = Noisy()
    fill = fill_photo(model, Image.new("RGB", (64, 64), (9, 9, 9)), mask, CONFIG, seeded(1))
    assert model.calls == [1] and len(fill.squares) == 1
    assert (np.asarray(fill.raster)[mask] != 9).any(axis=1).all() and fill.changed[mask].all()


def test_squares_of_a_photo_have_noise_of_their_own_and_the_first_has_the_photos():
    picture, mask = photo(100, APART)
    fill = fill_photo(Noisy(), Image.fromarray(picture), mask, CONFIG, seeded(5))
    values = np.asarray(fill.raster).astype(int)
    parts = [values[top + 2 : top + 18, left + 2 : left + 18] - 100 for left, top, *_ in APART]
    for one, other in itertools.combinations(parts, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.2
    only = fill_photo(Noisy(), Image.fromarray(picture), photo(100, APART[:1])[1], CONFIG, seeded(5))
    np.testing.assert_array_equal(np.asarray(only.raster)[20:40, 20:40], values[20:40, 20:40])


def test_only_squares_that_do_not_see_each_other_share_a_call():
    for number, calls in ((0, [4]), (2, [2, 1, 1]), (3, [1]), (4, [2])):
        model = Noisy()
        fill_photo(model, Image.fromarray(PHOTOS[number][0]), PHOTOS[number][1], CONFIG, seeded(0), batch_size=100)
        assert model.calls == calls
    model = Noisy()
    fill = fill_photo(
        model, Image.fromarray(PHOTOS[1][0]), PHOTOS[1][1], SamplingConfig(max_squares=64), batch_size=100
    )
    assert len(fill.squares) > 4 and model.calls == [1] * len(fill.squares), "a wire is filled along its length"


def test_a_bad_photo_does_not_take_the_others_with_it(alone):
    for level, number in ((30, 0), (120, 3)):
        results = filled(Noisy(bad=level), PHOTOS, 7)
        assert str(results.pop(number)) == "this one is bad"
        assert all(fill.raster.tobytes() == alone[other].raster.tobytes() for other, fill in results.items())
    broken = [*PHOTOS[:2], (PHOTOS[2][0], np.zeros((5, 5), bool)), *PHOTOS[3:]]
    results = filled(Noisy(), broken, 7)
    assert "5×5" in str(results.pop(2))
    assert all(fill.raster.tobytes() == alone[other].raster.tobytes() for other, fill in results.items())


def test_where_memory_runs_out_calls_are_halved_and_stay_so(alone):
    model = Noisy(room_for=2)
    results = filled(model, PHOTOS, 8)
    assert all(fill.raster.tobytes() == alone[number].raster.tobytes() for number, fill in results.items())
    assert model.calls[:4] == [8, 4, 2, 2] and max(model.calls[4:]) <= 4 and model.calls.count(8) == 1
    model = Noisy(room_for=0)
    rooms = [True, True]
    model.make_room = lambda: bool(rooms and rooms.pop())
    with pytest.raises(MemoryError, match="not enough memory for noisy"):
        fill_photo(model, Image.fromarray(PHOTOS[3][0]), PHOTOS[3][1], CONFIG, seeded(3))
    assert model.calls == [1, 1, 1], "other models left first"


def test_few_photos_wait_and_a_photo_comes_out_when_it_is_done():
    scheduler = Scheduler(Noisy, CONFIG, 3)
    came = []
    for number in range(7):
        picture, mask = PHOTOS[3]
        came.append([name for name, _ in scheduler.add(number, Image.fromarray(picture), mask, seeded(0))])
        assert len(scheduler._open) < 3
    assert came == [[], [], [0, 1, 2], [], [], [3, 4, 5], []]
    assert [name for name, _ in scheduler.flush()] == [6] and list(scheduler.flush()) == []
    empty = np.zeros(PHOTOS[0][1].shape, bool)
    ((name, fill),) = scheduler.add("empty", Image.fromarray(PHOTOS[0][0]), empty)
    assert name == "empty" and "mask is empty" in fill.notes[0], "it waits for nobody"


def test_no_model_is_held_while_nobody_waits():
    """Or the page would have two in memory when another visitor wants another one between two photos."""
    models = []

    def load() -> Noisy:
        model = Noisy()
        models.append(weakref.ref(model))
        return model

    scheduler, broken = Scheduler(load, CONFIG), np.zeros((5, 5), bool)
    for picture, mask in (*PHOTOS[:2], (PHOTOS[0][0], broken)):
        results = scheduler.add(0, Image.fromarray(picture), mask, seeded(0))
        next(results)  # and the rest of it is not asked for yet
        gc.collect()
        assert models[-1]() is None
    scheduler = Scheduler(load, CONFIG, 3)
    assert list(scheduler.add(0, Image.fromarray(PHOTOS[3][0]), PHOTOS[3][1], seeded(0))) == []
    gc.collect()
    held = models[-1]() is not None
    assert held and len(list(scheduler.flush())) == 1
    gc.collect()
    assert models[-1]() is None


def test_everyone_is_told_their_own_progress():
    told = {0: [], 3: []}
    scheduler = Scheduler(Noisy, CONFIG, 5)
    for number in told:
        picture, mask = PHOTOS[number]
        progress = lambda share, text, number=number: told[number].append((share, text))  # noqa: E731
        results = list(scheduler.add(number, Image.fromarray(picture), mask, seeded(0), progress))
    assert [name for name, _ in results] == [0, 3]
    assert told[3] == [(0.0, "Starting"), (0.5, "Painting"), (1.0, "Done")]
    parts = " (part 1, 2, 3, 4 of 4)"
    assert told[0] == [(0.0, "Starting" + parts), (0.5, "Painting" + parts), (1.0, "Done")]
    assert all(fill.step_ms is not None and fill.seconds["model"] > 0 for _, fill in results)


def test_cancelling_one_stops_all():
    def stop(share, text):
        if share == 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        filled(Noisy(), PHOTOS, 3, progress=stop)


def test_no_batch_is_less_than_one():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Scheduler(Noisy, CONFIG, 0)
