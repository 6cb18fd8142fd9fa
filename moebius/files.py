"""Files: write them whole or not at all, hash them, read JSON, check output paths."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

TEMPORARY = ".moebius-*.tmp"
"""Names of the files and folders that `replacing` and `replacing_folder` leave behind when they are killed."""


def packaged(*parts: str) -> Path:
    """A file or folder of the installed package."""
    return Path(str(resources.files("moebius").joinpath(*parts)))


# ---- writing ----


@contextmanager
def replacing(path: Path | str, *, sync: bool = True) -> Iterator[Path]:
    """The path of a new file in the same folder, for the block to write; at its end the file is moved to `path`.

    A link stays a link, and a file that is replaced passes its permissions on. If the block fails, the new file is
    deleted and what was at `path` stays as it was.

    Args:
        sync: wait until the disk has the data, so that not even a power cut leaves half a file.

    Raises:
        OSError: it cannot be written, or its folder does not exist.
    """
    path = Path(path).resolve()
    temporary = _beside(path)
    try:
        yield temporary
        if sync:
            _sync(temporary)
        if path.exists():
            with suppress(OSError):  # some network shares have no permissions
                os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: Path | str, data: bytes, *, sync: bool = True, make_folder: bool = False) -> None:
    """Write a file whole or not at all, see `replacing`; `make_folder`: create missing folders above it."""
    if make_folder:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, sync=sync) as temporary, open(temporary, "xb") as file:  # with the permissions of new files
        file.write(data)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """A new, empty folder beside `target`, for the block to fill; at its end it takes the place of `target`.

    If the block fails, the new folder is deleted and `target` stays as it was.
    """
    part, old = _beside(target), _beside(target)
    part.mkdir()
    try:
        yield part
        if target.exists():
            target.rename(old)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def delete_abandoned(folder: Path, *, deep: bool = False) -> None:
    """Delete what killed processes left half-written in a folder that no other process writes into; `deep`: and in all
    folders below it."""
    for path in list(folder.rglob(TEMPORARY) if deep else folder.glob(TEMPORARY)):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses."""
    return path.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add one line of JSON to a file, on the disk when this returns."""
    with path.open("ab") as file:
        file.write((json.dumps(row) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


# ---- reading ----


def sha256(source: Path | bytes) -> str:
    """SHA-256 of a file, which is read in parts, or of bytes: 64 hexadecimal digits."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, error: type[Exception] = ValueError) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        error: the file is missing, is not valid JSON or holds something else; the message names the file.
        OSError: the file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as reason:
        raise error(f"{path} is missing") from reason
    except ValueError as reason:
        raise error(f"{path} is not valid JSON: {reason}") from reason
    if not isinstance(content, dict):
        raise error(f"{path} holds no JSON object")
    return content


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object a line; none if there is no file. A last line that a kill cut off is
    left out.

    Raises:
        ValueError: another line is not valid JSON; the message names file and line.
    """
    if not path.is_file():
        return []
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(whole, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as reason:
            raise ValueError(f"line {number} of {path} is not valid JSON: {reason}") from reason
    return rows


# ---- checks of -o ----


def check_output_file(path: Path, inputs: Iterable[Path] = (), overwrite: str | None = None) -> None:
    """Raise ValueError where a result cannot or should not be written to `path`.

    Args:
        inputs: files that are read and must not be replaced.
        overwrite: the option that lifts this, where a command has one; the message names it.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; -o needs a file")
    _check_folder(path.parent)
    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise ValueError(f"{path} is an input; give another -o" + (f", or say {overwrite}" if overwrite else ""))


def check_output_folder(
    folder: Path, *, option: str = "-o", needs_parent: bool = False, error: type[Exception] = ValueError
) -> None:
    """Raise `error` where `folder` is no folder or cannot be written to; one that does not exist yet passes.

    needs_parent: then at least the folder above it must exist.
    """
    if folder.exists() and not folder.is_dir():
        raise error(f"{folder} is a file; {option} needs a folder")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise error(f"the folder {folder} cannot be written to")
    if needs_parent and not folder.exists():
        _check_folder(folder.parent)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"the folder {folder} of the output does not exist")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"the folder {folder} cannot be written to")
