import pytest

from moebius.ui.handlers import time_left


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
