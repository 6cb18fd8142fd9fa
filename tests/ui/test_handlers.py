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


def test_memory_is_given_back_after_every_action_also_after_an_error(monkeypatch):
    trimmed = []
    monkeypatch.setattr(devices, "trim", lambda: trimmed.append(1))

    @plain_errors
    def act(works: bool) -> str:
        if not works:
            raise ValueError("it does not")
        return "done"

    assert act(True) == "done" and trimmed == [1]
    with pytest.raises(Exception, match="It does not"):
        act(False)
    assert trimmed == [1, 1]
