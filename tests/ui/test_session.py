import os
import tempfile
import time

import numpy as np
import pytest

from moebius.ui import session as module
from moebius.ui.session import Sessions, clear_abandoned, private_folder


def test_a_photo_replaces_the_one_before_and_its_mask():
    sessions = Sessions()
    session = sessions.get("a")
    session.keep_photo(b"one", "../IMG 1.JPG", (4, 3))
    session.keep_mask(np.eye(3, 4, dtype=bool))
    np.testing.assert_array_equal(session.mask(), np.eye(3, 4, dtype=bool))
    assert session.name == "IMG 1.JPG" and session.photo.parent == session.folder
    session.keep_photo(b"two", "b.png", (5, 6))
    assert session.mask() is None and session.size == (5, 6)
    assert [path.name for path in session.folder.iterdir()] == ["photo.png"]
    assert session.photo.read_bytes() == b"two"
    sessions.close_all()


def test_results_are_kept_under_their_names():
    sessions = Sessions()
    session = sessions.get("a")
    session.keep_photo(b"photo", "b.jpg", (4, 3))
    first = session.keep_result(b"one", "b_filled.jpg")
    path = session.keep_result(b"two", "../../b_filled.jpg")
    assert path.name == "b_filled.jpg" and path.is_relative_to(session.folder)
    assert [one.name for one in path.parent.iterdir()] == ["b_filled.jpg"] and path.read_bytes() == b"two"
    assert first.read_bytes() == b"one" and [step.number for step in session.steps] == [0, 1, 2]
    session.keep_photo(b"another", "c.jpg", (4, 3))
    assert not first.exists() and not path.exists() and session.result is None, "nothing of the photo before stays"
    sessions.close_all()


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1 << 20), (99, 30)])
def test_the_oldest_results_go_but_not_the_one_that_is_painted_on(monkeypatch, most, most_bytes):
    monkeypatch.setattr(module, "MAX_RESULTS", most)
    monkeypatch.setattr(module, "MAX_RESULT_BYTES", most_bytes)
    sessions = Sessions()
    session = sessions.get("a")
    session.keep_photo(b"photo", "a.jpg", (4, 3))
    session.keep_result(b"0123456789", "a_filled.jpg")
    session.go_to(session.steps[1])
    for _ in range(5):
        session.keep_result(b"0123456789", "a_filled.jpg")
    assert [step.number for step in session.steps] == [0, 1, 5, 6]
    assert session.photo.read_bytes() == b"0123456789" and session.steps[0].path.read_bytes() == b"photo"
    assert len(list(session.folder.glob("result-*"))) == 3
    sessions.close_all()


def test_visitors_have_folders_of_their_own_and_leave_nothing():
    sessions = Sessions()
    a, b = sessions.get("a"), sessions.get("b")
    assert a is sessions.get("a") and a.folder != b.folder
    a.keep_photo(b"x", "x.jpg", (1, 1))
    running = a.begin("fill")
    sessions.close("a")
    assert not a.folder.exists() and running.is_set() and b.folder.exists()
    sessions.close_all()
    assert not b.folder.exists()


def test_the_idle_are_forgotten_and_so_is_the_longest_idle_beyond_the_limit():
    sessions = Sessions(idle_s=100, most=2)
    a, b = sessions.get("a"), sessions.get("b")
    a.used -= 50
    sessions.get("c")
    assert not a.folder.exists() and b.folder.exists()
    b.used -= 101
    sessions.get("c")
    assert not b.folder.exists() and sessions.get("b") is not b
    sessions.close_all()


def test_a_task_that_was_stopped_stays_stopped_when_the_next_begins():
    sessions = Sessions()
    session = sessions.get("a")
    first, fetching = session.begin("fill"), session.begin("fetch")
    session.stop("fill")
    second = session.begin("fill")
    assert first.is_set() and not second.is_set() and not fetching.is_set()
    session.stop("never begun")
    third = session.begin("fill")  # while the second runs
    session.stop("fill")
    assert second.is_set() and third.is_set() and not fetching.is_set()
    sessions.close_all()


def test_visitors_are_forgotten_also_while_nobody_comes(monkeypatch):
    sessions = Sessions(idle_s=100)
    idle, active = sessions.get("a"), sessions.get("b")
    idle.used -= 101

    class Now:  # the thread's work, here and at once
        def __init__(self, target, daemon):
            self.start, self.daemon = target, daemon

    naps = iter([None])

    def sleep(seconds):
        assert seconds == 5
        next(naps)

    monkeypatch.setattr(module.threading, "Thread", Now)
    monkeypatch.setattr(module.time, "sleep", sleep)
    with pytest.raises(StopIteration):
        sessions.keep_forgetting(every_s=5)
    assert not idle.folder.exists() and active.folder.exists()
    sessions.close_all()


def test_what_killed_pages_left_is_deleted_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long_ago = time.time() - 25 * 3600

    def aged(path):
        os.utime(path, (long_ago, long_ago))
        return path

    old, fresh, in_use = private_folder(), private_folder(), private_folder()
    assert old.stat().st_mode & 0o77 == 0, "nobody else may look in"
    (old / "result").mkdir()
    (old / "result" / "photo.jpg").write_bytes(b"x")
    for path in (old / "result" / "photo.jpg", old / "result", old, in_use):
        aged(path)
    (in_use / "photo.jpg").write_bytes(b"x")  # written to just now
    aged(in_use)
    others = [tmp_path / name for name in ("moebius-weights", "moebius-test-cache-abcd1234", "other-abcd1234")]
    for other in others:
        other.mkdir()
        aged(other)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo.jpg").write_bytes(b"x")
    link = tmp_path / "moebius-abcd1234"
    link.symlink_to(precious)
    inside = aged(private_folder())
    (inside / "away").symlink_to(precious)
    os.utime(inside / "away", (long_ago, long_ago), follow_symlinks=False)
    aged(inside)

    assert set(clear_abandoned()) == {old, inside}
    assert not old.exists() and not inside.exists()
    assert all(path.exists() for path in (fresh, in_use, *others, link, precious / "photo.jpg"))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users there")
def test_folders_of_other_users_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = private_folder()
    os.utime(folder, (0, 0))
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert clear_abandoned() == [] and folder.exists()
