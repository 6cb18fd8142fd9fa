"""Votes in an SQLite file: kept across restarts, none counted twice, deletable, exportable as CSV.

A vote says which fill somebody preferred. The voter is a random number that the browser made up for this page; no
address, name or time is kept.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moebius.vote.ballot import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, SECOND, EQUAL, FLAW, SKIP = CHOICES = ("first", "second", "equal", "flaw", "skip")
"""The first model is better, the second, both are as good, both have the same flaw, not judged."""
MAX_VOTES = 1_000_000
"""Of one file: nobody can fill the disk with votes."""
WAIT_S = 30
"""How long one process waits for another to write."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ballot TEXT NOT NULL,
    voter TEXT NOT NULL,
    photo TEXT NOT NULL,
    first TEXT NOT NULL,
    second TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'equal', 'flaw', 'skip')),
    UNIQUE (ballot, voter, photo, first, second)
)"""
_COLUMNS = "id, voter, photo, first, second, choice"


@dataclass(frozen=True)
class Vote:
    id: int
    voter: str
    comparison: Comparison
    choice: str
    """One of `CHOICES`."""


class VoteStore:
    """The votes on one ballot. Any thread may use it; one at a time writes.

    Args:
        path: of the file, created with its folder if there is none.
        ballot: `Ballot.identity`; votes on others in the same file are not seen.

    Raises:
        ValueError: the file is no database of votes.
    """

    def __init__(self, path: Path, ballot: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.ballot, self._lock = path, ballot, threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # a vote that was confirmed survives a power cut
            self._database.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no file of votes: {error}") from None

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def add(self, voter: str, one: Comparison, choice: str) -> bool:
        """Keep a vote; it is on the disk when this returns. False: this voter has voted on this comparison before.

        Raises:
            ValueError: the choice is none of `CHOICES`, or there are `MAX_VOTES`.
        """
        if choice not in CHOICES:
            raise ValueError(f"a vote must be one of {', '.join(CHOICES)}, got {choice!r}")
        with self._writing() as database:
            (count,) = database.execute("SELECT count(*) FROM votes").fetchone()
            if count >= MAX_VOTES:
                raise ValueError(f"{MAX_VOTES:,} votes are kept here, and no more")
            done = database.execute(
                "INSERT OR IGNORE INTO votes (ballot, voter, photo, first, second, choice) VALUES (?, ?, ?, ?, ?, ?)",
                (self.ballot, voter, one.photo, one.first, one.second, choice),
            )
            return done.rowcount == 1

    def take_back(self, voter: str) -> Comparison | None:
        """Delete this voter's last vote; what it was on, None where there is none."""
        with self._writing() as database:
            found = database.execute(
                f"SELECT {_COLUMNS} FROM votes WHERE ballot = ? AND voter = ? ORDER BY id DESC LIMIT 1",
                (self.ballot, voter),
            ).fetchone()
            if found is None:
                return None
            database.execute("DELETE FROM votes WHERE id = ?", found[:1])
            return _vote(found).comparison

    def delete(self, vote_id: int) -> bool:
        """Delete one vote; whether there was one."""
        with self._writing() as database:
            done = database.execute("DELETE FROM votes WHERE ballot = ? AND id = ?", (self.ballot, vote_id))
            return done.rowcount == 1

    def done(self, voter: str) -> list[Comparison]:
        """What this voter has voted on, in the order of the votes."""
        return [vote.comparison for vote in self._select("AND voter = ?", (voter,))]

    def votes(self) -> list[Vote]:
        """All votes, in the order in which they came."""
        return self._select("", ())

    def _select(self, condition: str, values: tuple) -> list[Vote]:
        query = f"SELECT {_COLUMNS} FROM votes WHERE ballot = ? {condition} ORDER BY id"
        with self._lock:
            return [_vote(row) for row in self._database.execute(query, (self.ballot, *values))]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction that no other process can write in; undone if the block fails."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _vote(row: tuple) -> Vote:
    number, voter, photo, first, second, choice = row
    return Vote(number, voter, Comparison(photo, first, second), choice)


def as_csv(votes: Iterable[Vote]) -> str:
    """One line a vote, with a header; voters are numbered in the order in which they came."""
    numbers: dict[str, int] = {}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("id", "voter", "photo", "first", "second", "choice"))
    for vote in votes:
        voter = numbers.setdefault(vote.voter, len(numbers) + 1)
        one = vote.comparison
        writer.writerow((vote.id, voter, *map(_cell, (one.photo, one.first, one.second)), vote.choice))
    return text.getvalue()


def _cell(text: str) -> str:
    """A spreadsheet must not take a name for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text
