import io
import re
import threading

import pytest

from moebius import progress
from moebius.progress import TerminalProgress, counter


class Terminal(io.StringIO):
    """A terminal that says when a text was drawn on it."""

    def __init__(self, awaited: str = "") -> None:
        super().__init__()
        self.awaited, self.drawn = awaited, threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.awaited in self.getvalue():
            self.drawn.set()
        return written


def visible(text: str) -> str:
    """What a terminal's last line shows."""
    line = ""
    for part in text.split("\n")[-1].split("\r"):
        line = part + line[len(part) :]
    return line.strip()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "REDRAW_S", 0.001)


def test_share_and_words_are_drawn_and_wiped(at_once):
    terminal = Terminal("Step 5 of 20")
    with TerminalProgress(terminal) as report:
        report(0.25, "Step 5 of 20")
        assert terminal.drawn.wait(30)
        assert re.search(r" 25% \|.{20}\| Step 5 of 20 \(00:\d\d\)", terminal.getvalue())
    assert visible(terminal.getvalue()) == ""


def test_a_share_may_go_back_as_when_the_next_photo_begins(at_once):
    terminal = Terminal("Next")
    with TerminalProgress(terminal) as report:
        report(0.9, "First")
        report(0.1, "Next")
        assert terminal.drawn.wait(30) and " 10% |" in terminal.getvalue()


def test_nothing_is_drawn_for_quick_work_or_without_a_terminal(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 3600.0)
    for stream in (Terminal(), io.StringIO()):
        with TerminalProgress(stream) as report:
            report(0.5, "Filling")
        with counter(3, "Filling", stream=stream) as bar:
            bar.update(3)
        assert stream.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    pipe = io.StringIO()
    with TerminalProgress(pipe) as report, counter(3, "Filling", stream=pipe) as bar:
        report(0.5, "Filling")
        bar.update(3)
    assert pipe.getvalue() == ""


def test_items_are_counted_with_the_time_that_is_left(at_once):
    terminal = Terminal()
    with counter(10, "Filling", done=4, stream=terminal) as bar:
        bar.start_t -= 20  # it began 20 s ago; two items since then: 10 s each for the other four
        bar.update(2)
        bar.refresh()
        assert re.search(r"Filling: 6 of 10 \|.{20}\| 00:(39|40|41) left", terminal.getvalue())
    assert visible(terminal.getvalue()) == ""


def test_quiet_is_quiet_on_a_terminal_too(at_once):
    terminal = Terminal()
    with counter(2, "Filling", quiet=True, stream=terminal) as bar:
        bar.update(2)
    assert terminal.getvalue() == ""
