"""The click that selects an object, called as Gradio calls it, with a selector that only draws discs."""

import gc
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from moebius import segment
from moebius.ui.batch.filling import FillActions
from moebius.ui.fill import select
from moebius.ui.fill.actions import Actions
from moebius.weights import locate
from tests.helpers.deterministic import picture

CLICK = (None, None, None)
"""Right, bottom and level of a click."""


class Discs:
    """Selects ten pixels around a place, and counts the photos that it looked at."""

    def __init__(self) -> None:
        self.looked: list[tuple[int, int]] = []

    def embed(self, raster):
        self.looked.append(raster.size)
        return segment.ImageEmbedding((), raster.size)

    def predict_box(self, embedding, box, margin_px, size, level):
        """The box itself, and as many pixels around it as the level."""
        (width, height), (own_width, own_height) = size, embedding.size
        left, top, right, bottom = (
            round(one * side) for one, side in zip(box, (width / own_width, height / own_height) * 2, strict=True)
        )
        rows, columns = np.mgrid[:height, :width]
        return (left - level <= columns) & (columns < right + level) & (top - level <= rows) & (rows < bottom + level)

    def predict(self, embedding, points, margin_px, size, level):
        assert margin_px == 0, "what is filled is grown later"
        ((x, y),) = points
        (width, height), (own_width, own_height) = size, embedding.size
        rows, columns = np.mgrid[:height, :width]
        return (columns - x * width / own_width) ** 2 + (rows - y * height / own_height) ** 2 < 100


@pytest.fixture
def discs(monkeypatch) -> Discs:
    discs = Discs()
    monkeypatch.setattr(locate, "locate", lambda **_: "files")
    monkeypatch.setattr(segment, "load", lambda files, device: discs)
    return discs


@pytest.fixture
def actions():
    actions = Actions()
    yield actions
    actions.sessions.close_all()


def quiet(share, desc):
    """Where progress goes."""


def visitor(number: int = 0) -> SimpleNamespace:
    return SimpleNamespace(session_hash=f"visitor {number}")


def photo(folder: Path, seed: int = 0, size: tuple[int, int] = (90, 60)) -> Path:
    path = folder / f"{seed}.png"
    Image.fromarray(picture(seed, max(size))).crop((0, 0, *size)).save(path)
    return path


def load(actions, path: Path, number: int = 0):
    actions.load_photo({"path": str(path), "orig_name": path.name}, visitor(number))
    return actions.sessions.get(visitor(number).session_hash)


def click(clicks, x: float, y: float, number: int = 0) -> np.ndarray:
    return np.asarray(Image.open(clicks.select(x, y, *CLICK, visitor(number), quiet))) > 0


def message(action, *args) -> str:
    with pytest.raises(gr.Error) as error:
        action(*args)
    return error.value.message


def test_the_mask_lies_where_the_click_was_and_a_photo_is_looked_at_once(actions, discs, tmp_path):
    clicks = select.SelectActions(actions)
    load(actions, photo(tmp_path))
    for x, y in ((0.5, 0.5), (0.2, 0.75)):
        rows, columns = np.nonzero(click(clicks, x, y))
        assert abs(columns.mean() - 90 * x) < 0.5 and abs(rows.mean() - 60 * y) < 0.5
    assert discs.looked == [(90, 60)]
    load(actions, photo(tmp_path, 1, (60, 40)))
    assert click(clicks, 0.5, 0.5).shape == (40, 60) and discs.looked == [(90, 60), (60, 40)]


def test_what_was_seen_is_kept_for_few_and_whoever_clicked_longest_ago_waits_again(actions, discs, tmp_path):
    clicks, path = select.SelectActions(actions), photo(tmp_path)
    sessions = [load(actions, path, number) for number in range(select.MAX_EMBEDDINGS + 2)]
    for number in range(select.MAX_EMBEDDINGS):
        click(clicks, 0.5, 0.5, number)
    click(clicks, 0.1, 0.1, 0)  # the first is now the last
    for number in (-2, -1):
        click(clicks, 0.5, 0.5, number % len(sessions))
    kept = [number for number, session in enumerate(sessions) if session.embedding]
    assert kept == [0, *range(3, len(sessions))] and len(kept) == select.MAX_EMBEDDINGS
    before = len(discs.looked)
    click(clicks, 0.5, 0.5, 0)
    assert len(discs.looked) == before
    click(clicks, 0.5, 0.5, 1)
    assert len(discs.looked) == before + 1 and sessions[1].embedding and not sessions[3].embedding


def test_visitors_who_left_are_no_burden(actions, discs, tmp_path):
    clicks, path = select.SelectActions(actions), photo(tmp_path)
    for number in range(3):
        load(actions, path, number)
        click(clicks, 0.5, 0.5, number)
        actions.sessions.close(visitor(number).session_hash)
    load(actions, path, 9)
    click(clicks, 0.5, 0.5, 9)
    gc.collect()
    assert [one() for one in clicks._recent if one()] == [actions.sessions.get(visitor(9).session_hash)]


@pytest.mark.parametrize(
    "place",
    [(1.0, 0.5), (0.5, -0.01), (float("nan"), 0.5), (0.5, float("inf")), ("0.5", 0.5), (None, 0.5), ([0.5], 0.5)],
)
def test_places_beside_the_photo_are_refused(actions, discs, tmp_path, place):
    load(actions, photo(tmp_path))
    assert "two numbers from 0 to below 1" in message(
        select.SelectActions(actions).select, *place, *CLICK, visitor(), quiet
    )
    assert discs.looked == []


def test_a_box_selects_what_lies_in_it_and_another_size_of_it(actions, discs, tmp_path):
    clicks = select.SelectActions(actions)
    load(actions, photo(tmp_path))

    def boxed(level: int | None) -> np.ndarray:
        return np.asarray(Image.open(clicks.select(0.2, 0.25, 0.7, 0.75, level, visitor(), quiet))) > 0

    expected = np.zeros((60, 90), bool)
    expected[15:45, 18:63] = True
    np.testing.assert_array_equal(boxed(None), expected)
    expected[14:46, 17:64] = True
    np.testing.assert_array_equal(boxed(1), expected)
    for level in (3, 0.5):
        assert "whole number from -2 to 2" in message(clicks.select, 0.2, 0.2, 0.5, 0.5, level, visitor(), quiet)


def test_without_a_photo_or_an_object_it_says_so(actions, discs, tmp_path, monkeypatch):
    clicks = select.SelectActions(actions)
    assert "hoose a photo first" in message(clicks.select, 0.5, 0.5, *CLICK, visitor(), quiet)
    load(actions, photo(tmp_path))
    monkeypatch.setattr(discs, "predict", lambda embedding, points, margin_px, size, level: np.zeros(size[::-1], bool))
    assert "othing was found there" in message(clicks.select, 0.5, 0.5, *CLICK, visitor(), quiet)


def test_the_time_limit_holds_and_the_next_click_is_answered(actions, discs, tmp_path, monkeypatch):
    clicks, now = select.SelectActions(actions), [0.0]
    load(actions, photo(tmp_path))
    monkeypatch.setenv("MOEBIUS_MAX_SECONDS", "5")
    monkeypatch.setattr("moebius.ui.handlers.time.monotonic", lambda: now[0])

    def slow(files, device):
        now[0] += 6
        return discs

    monkeypatch.setattr(segment, "load", slow)
    assert "5" in message(clicks.select, 0.5, 0.5, *CLICK, visitor(), quiet)
    monkeypatch.setattr(segment, "load", lambda files, device: discs)
    assert click(clicks, 0.5, 0.5).any()


def test_a_wrong_folder_is_named_and_nothing_is_offered_in_its_place(actions, tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_SELECT_WEIGHTS", str(tmp_path))
    line, button = select.SelectActions(actions).about()
    assert "it needs config.json and model.safetensors" in line and str(tmp_path.parent) not in line
    assert button["visible"] is False


def test_a_photo_of_many_is_selected_in_as_well(actions, discs, tmp_path):
    many, clicks = FillActions(actions), select.SelectActions(actions)
    paths = [photo(tmp_path, 0), photo(tmp_path, 1, (60, 40))]
    files = [{"path": str(path), "orig_name": path.name} for path in paths]
    many.add_photos(files, None, "each", visitor(), quiet)
    assert click(clicks, 0.5, 0.5).shape == (60, 90)
    many.open_photo("1.png", None, "each", visitor())
    assert click(clicks, 0.5, 0.5).shape == (40, 60) and discs.looked == [(90, 60), (60, 40)]
