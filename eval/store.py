"""Files of a run: written whole or not at all, and named by their configuration, so that old results are never mixed
in."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path
from typing import Any

from moebius.files import read_json, write_atomic


def write(path: Path, data: bytes) -> None:
    """Write a file of a run and the folders above it; it is there in full or not there, even if the process is killed.

    The disk is not waited for: after a power cut a run is made again.
    """
    write_atomic(path, data, sync=False, make_folder=True)


def to_json(value: Any) -> str:
    """Sorted keys and plain JSON: an infinity becomes "inf", a NaN is refused. Equal values give equal text."""
    return json.dumps(_plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):  # a numpy number
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("a NaN was about to be reported as a result")
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    if isinstance(value, Path):
        return str(value)
    return value


def number(value: float | str | None) -> float | None:
    """The inverse of how `to_json` writes a number."""
    return None if value is None else float(value)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all."""
    write(path, to_json(value).encode())


def fingerprint(config: dict) -> str:
    """Twelve hexadecimal digits that stand for a configuration."""
    return sha256(to_json(config).encode()).hexdigest()[:12]


def claim(folder: Path, config: dict) -> None:
    """Create `folder` for results of `config`, or check that it belongs to `config`.

    Raises:
        ValueError: the folder holds the results of another configuration; the first differing entries are named.
    """
    path = folder / "config.json"
    if path.is_file():
        held = read_json(path)
        if (config := json.loads(to_json(config))) != held:
            keys = [key for key in sorted({*config, *held}) if config.get(key) != held.get(key)]
            raise ValueError(
                f"{folder} holds results of another configuration ({', '.join(keys[:3])} differ); delete it"
            )
        return
    write_json(path, config)


def sources_sha256(root: Path, patterns: tuple[str, ...], but: tuple[str, ...] = ()) -> str:
    """A hash over source files, so that results of other code are noticed.

    Args:
        patterns: as `Path.glob` takes them, below `root`.
        but: beginnings of paths below `root`, with forward slashes, that are left out.
    """
    digest = sha256()
    paths = {path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)}
    for name in sorted(path for path in paths if not path.startswith(but)):
        digest.update(f"{name}\n".encode() + (root / name).read_bytes())
    return digest.hexdigest()[:16]
