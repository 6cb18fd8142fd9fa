import gc
import weakref

import pytest

from moebius import devices
from moebius.ui.handlers import plain_errors, time_left


@pytest.mark.parametrize(
    ("passed_s", "share", "words"),
    [
        (0.5, 0.5, ""),  # too early for a guess
        (30.0, 0.04, ""),
        (2.0, 0.5, ""),  # short: not worth saying
        (30.0, 1.0, ""),
        (10.0, 0.5, ", about 10 s left"),
        (9.0, 0.9, ", about 5 s left"),
        (60.0, 0.2, ", about 4 min left"),
    ],
)
def test_how_long_it_will_take_is_said_where_it_can_be_guessed(passed_s, share, words):
    assert time_left(passed_s, share) == words


class Large:
    """Something that would be missed."""


def test_memory_is_given_back_after_every_action_also_after_an_error(monkeypatch):
    """An error keeps the functions that it came through, and Gradio keeps errors; the photos in there must go."""
    trimmed, photos = [], []
    monkeypatch.setattr(devices, "trim", lambda: trimmed.append([photo() for photo in photos]))

    def opened() -> Large:
        photo = Large()
        photos.append(weakref.ref(photo))
        raise ValueError("it breaks off")

    @plain_errors
    def act(works: bool) -> str:
        another = Large()
        photos.append(weakref.ref(another))
        if not works:
            try:
                opened()
            except ValueError as error:
                raise ValueError("it does not open") from error
        return "done"

    gc.disable()
    try:
        assert act(True) == "done" and trimmed == [[None]]
        with pytest.raises(Exception, match="It does not open") as kept:
            act(False)
        assert trimmed[1] == [None, None, None] and kept.value.__cause__ is not None
    finally:
        gc.enable()
