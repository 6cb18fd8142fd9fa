import numpy as np

from moebius.ui.session import Sessions


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


def test_one_result_is_kept_under_its_name():
    sessions = Sessions()
    session = sessions.get("a")
    session.keep_result(b"one", "a_filled.jpg")
    path = session.keep_result(b"two", "../../b_filled.jpg")
    assert path.name == "b_filled.jpg" and path.is_relative_to(session.folder)
    assert [one.name for one in path.parent.iterdir()] == ["b_filled.jpg"] and path.read_bytes() == b"two"
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
    sessions.close_all()
