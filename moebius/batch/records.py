"""What a batch has finished: one line a photo in its folder, so that a run that was killed goes on where it stopped.

A line is written before the file that it tells of. A file without a line is therefore not ours, and a line without
its file is work that was lost. What counts in the end is the file's own hash.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from moebius.files import delete_abandoned, sha256

PREFIX = "moebius-batch"


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
    """A process's own part, opened for appending, and locked where the system can. Use it as a context manager.

    Raises:
        ValueError: another run is at work on it.
    """

    def __init__(self, folder: Path, rank: int = 0, processes: int = 1) -> None:
        self.path, self._alone = folder / part_name("jsonl", rank, processes), processes == 1

    def __enter__(self) -> RecordsFile:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _lock(self._file)
        except OSError as error:
            os.close(self._file)
            folder = self.path.parent
            raise ValueError(f"another batch is writing into {folder}; wait for it, or give another -o") from error
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # ends the line that a kill tore
        if self._alone:
            delete_abandoned(self.path.parent, deep=True)
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)

    def append(self, row: dict) -> None:
        """One line, in one write, on the disk when this returns."""
        os.write(self._file, (json.dumps(row) + "\n").encode())
        os.fsync(self._file)


def _lock(file: int) -> None:
    """Raises OSError where another process holds it. Windows has no such lock, and there nothing is locked."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
