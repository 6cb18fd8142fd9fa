"""What a batch has finished: one line a photo in its folder, so that a run that was killed goes on where it stopped.

A line is written before the file that it tells of. A file without a line is therefore not ours, and a line without
its file is work that was lost. What counts in the end is the file's own hash.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from moebius.files import append_line, delete_abandoned, sha256

PREFIX = "moebius-batch"
_NO_LOCKS = "{} has no file locks: nothing keeps a second batch from writing into it meanwhile."


def key_of(photo: bytes, mask: bytes, configuration: dict) -> str:
    """What tells one piece of work from another: SHA-256 of the photo's file, the mask's file and all settings."""
    parts = (photo, mask, json.dumps(configuration, sort_keys=True).encode())
    return sha256(b"".join(bytes.fromhex(sha256(part)) for part in parts))


def part_name(kind: str, rank: int, processes: int) -> str:
    """File name of a process's own part: `moebius-batch.jsonl`, or `moebius-batch.2.jsonl` for the third of several."""
    own = f".{rank}" if processes > 1 else ""
    return f"{PREFIX}{own}.{kind}"


@dataclass(frozen=True)
class Records:
    """The lines of all processes and all earlier runs."""

    keys: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """Hashes of the files by (name of the photo, key)."""
    files: dict[str, set[str]] = field(default_factory=dict)
    """Hashes of all files that were ever written for a photo, by its name."""

    @classmethod
    def read(cls, folder: Path) -> Records:
        """Whatever can be read; a line that a kill tore is passed over."""
        records = cls()
        for path in sorted(folder.glob(f"{PREFIX}*.jsonl")):
            for line in path.read_bytes().splitlines():
                try:
                    row = json.loads(line)
                    name, key, file = row["photo"], row["key"], row["sha256"]
                    records.keys.setdefault((name, key), set()).add(file)
                    records.files.setdefault(name, set()).add(file)
                except (ValueError, KeyError, TypeError):
                    continue
        return records

    def state(self, name: str, key: str, output: Path) -> str:
        """`missing`: there is no file; `finished`: the one that this work makes; `ours`: one of an earlier run with
        other settings; `foreign`: one that no batch has written, or that was edited since."""
        if not output.exists():
            return "missing"
        if name not in self.files:
            return "foreign"
        file = sha256(output)
        if file in self.keys.get((name, key), ()):
            return "finished"
        return "ours" if file in self.files[name] else "foreign"


class RecordsFile:
    """A process's own part: rows are added to it, and nobody else may do so meanwhile. Use it as a context manager.

    Some network shares have no locks; then `note` says that nothing keeps others out.

    Raises:
        ValueError: another run is at work on it.
    """

    note = ""

    def __init__(self, folder: Path, rank: int = 0, processes: int = 1) -> None:
        self.path, self._alone = folder / part_name("jsonl", rank, processes), processes == 1
        self._lock = FileLock(folder / f".{part_name('lock', rank, processes)}", thread_local=False)

    def __enter__(self) -> RecordsFile:
        folder = self.path.parent
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            if _has_locks(folder):
                raise ValueError(f"another batch is writing into {folder}; wait for it, or give another -o") from error
            self.note = _NO_LOCKS.format(folder)
        except OSError:  # whatever is wrong with the folder beside that, writing into it says
            self.note = _NO_LOCKS.format(folder)
        with self.path.open("ab+") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                file.write(b"\n")  # ends the line that a kill tore
        if self._alone and not self.note:  # else they may be another run's
            delete_abandoned(folder, deep=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def append(self, row: dict) -> None:
        """One line, on the disk when this returns."""
        append_line(self.path, row)


def _has_locks(folder: Path) -> bool:
    """Whether a file that nobody else knows can be locked there."""
    path = folder / f".{PREFIX}.{secrets.token_hex(8)}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except OSError:  # Timeout is one
        return False
    finally:
        lock.release()
        path.unlink(missing_ok=True)
    return True
