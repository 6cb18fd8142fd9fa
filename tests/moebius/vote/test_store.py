"""Votes are kept, counted once, deleted and exported; also by two processes at once, one of which is killed."""

import csv
import io
import multiprocessing
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from moebius.vote.ballot import Comparison
from moebius.vote.limit import RateLimit, TooFast
from moebius.vote.store import CHOICES, VoteStore, as_csv

ONE, OTHER = Comparison("p1", "a", "b"), Comparison("p2", "a", "b")


def test_a_voter_votes_once_on_a_comparison_and_can_take_it_back(tmp_path):
    store = VoteStore(tmp_path / "new" / "votes.sqlite", "x")
    assert store.add("v", ONE, "first") and not store.add("v", ONE, "second")
    assert store.add("w", ONE, "second") and store.add("v", OTHER, "equal")
    assert [(vote.voter, vote.choice) for vote in store.votes()] == [("v", "first"), ("w", "second"), ("v", "equal")]
    assert store.take_back("v") == OTHER and store.done("v") == [ONE]
    assert store.delete(store.votes()[0].id) and not store.delete(999)
    assert [vote.voter for vote in store.votes()] == ["w"] and store.take_back("v") is None
    store.close()
    again = VoteStore(tmp_path / "new" / "votes.sqlite", "x")
    assert [vote.comparison for vote in again.votes()] == [ONE]
    assert VoteStore(again.path, "another ballot").votes() == []


def test_what_is_no_vote_is_refused(tmp_path):
    store = VoteStore(tmp_path / "votes.sqlite", "x")
    with pytest.raises(ValueError, match="one of first, second, equal, flaw, skip, got 'left'"):
        store.add("v", ONE, "left")
    with pytest.raises(sqlite3.IntegrityError):  # not even by another program
        sqlite3.connect(store.path).execute(
            "INSERT INTO votes (ballot, voter, photo, first, second, choice) VALUES ('x', 'v', 'p', 'a', 'b', 'left')"
        )
    (tmp_path / "text").write_text("no database, but long enough to be looked at as one" * 20)
    with pytest.raises(ValueError, match="no file of votes"):
        VoteStore(tmp_path / "text", "x")


def test_the_csv_numbers_voters_and_holds_no_formula(tmp_path):
    store = VoteStore(tmp_path / "votes.sqlite", "x")
    for voter, photo in (("f" * 32, "=1+1"), ("0" * 32, "p"), ("f" * 32, "q")):
        store.add(voter, Comparison(photo, "a", "b"), CHOICES[0])
    rows = list(csv.DictReader(io.StringIO(as_csv(store.votes()))))
    assert [row["voter"] for row in rows] == ["1", "2", "1"] and rows[0]["photo"] == "'=1+1"
    assert set(rows[0]) == {"id", "voter", "photo", "first", "second", "choice"}


def _votes_until_killed(path, ballot: str, told) -> None:
    store = VoteStore(path, ballot)
    for number in range(10_000):
        store.add("killed", Comparison(f"p{number:05d}", "a", "b"), "first")
        told.send(number)


def test_threads_and_a_killed_process_lose_and_double_nothing(tmp_path):
    """What was confirmed before SIGKILL is there; meanwhile another process votes with four threads."""
    path = tmp_path / "votes.sqlite"
    store = VoteStore(path, "x")
    listen, told = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_votes_until_killed, args=(path, "x", told))
    child.start()
    told.close()
    with ThreadPoolExecutor(4) as pool:
        ours = [
            pool.submit(store.add, f"v{voter}", Comparison(f"p{photo}", "a", "b"), "second")
            for photo in range(10)
            for voter in (0, 1, 0)  # the third is a double
        ]
        for _ in range(20):
            confirmed = listen.recv()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        while listen.poll():
            try:
                confirmed = listen.recv()
            except EOFError:
                break
        assert sum(one.result() for one in ours) == 20
    kept = [vote.comparison.photo for vote in store.votes() if vote.voter == "killed"]
    assert len(kept) - (confirmed + 1) in (0, 1), "one may be written and not yet confirmed"
    assert kept == [f"p{number:05d}" for number in range(len(kept))]
    assert len(store.votes()) == len(kept) + 20


def test_votes_come_at_most_so_fast():
    now = [0.0]
    limit = RateLimit(one=2, everyone=3, clock=lambda: now[0])
    limit.count("a"), limit.count("a")
    with pytest.raises(TooFast, match="more than 2 votes a minute"):
        limit.count("a")
    limit.count("b")
    with pytest.raises(TooFast, match="too many votes"):
        limit.count("c")
    now[0] = 60.0
    limit.count("a")
