"""Records of fills: one JSON line for a case and a method, so that a stopped run resumes; and how one is made."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_size import measure
from benchmarks.real_size.methods import Case, Method
from eval.metrics.sharpness import sharpness

Key = tuple[str, str, str]
"""Photo, size of the hole, method."""


class Records:
    """The lines of one file. A line that was cut off by the end of its run is dropped when the file is opened."""

    def __init__(self, path: Path, without: Iterable[str] = ()) -> None:
        """without: methods whose records are dropped, to be made again."""
        self.path = path
        self.rows: dict[Key, dict[str, Any]] = {}
        dropped = False
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:
                dropped = True
                continue
            if row["method"] in without:
                dropped = True
            else:
                self.rows[key_of(row)] = row
        if dropped:
            part = path.with_suffix(".part")
            part.write_text("".join(_line(row) for row in self.rows.values()), encoding="utf-8")
            os.replace(part, path)

    def __contains__(self, key: Key) -> bool:
        return key in self.rows

    def add(self, row: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(_line(row))
        self.rows[key_of(row)] = row


def key_of(row: dict[str, Any]) -> Key:
    return row["photo"], row["size"], row["method"]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def fill(name: str, method: Method, case: Case) -> tuple[np.ndarray, dict[str, Any]]:
    """The filled square with the known pixels as they were, and what the fill cost.

    Seconds are wall clock and processor time of all threads; `peak_mib` is memory above what was held before, None
    where the system does not tell. `load` is the machine's, one minute's mean: seconds of a busy machine are no result.
    """
    case.damaged  # noqa: B018 -- made before the clock starts
    load = os.getloadavg()[0]
    before = _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    filled = method(case)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _memory_kib("VmHWM")
    if filled.shape != case.truth.shape or filled.dtype != np.uint8:
        raise ValueError(f"{name} returned {filled.shape} {filled.dtype}, expected {case.truth.shape} uint8")
    return np.where(case.mask[..., None], filled, case.truth), {
        "method": name,
        "photo": case.photo,
        "group": case.group,
        "size": case.size,
        "kind": case.kind,
        "side": len(case.mask),
        "hole_pixels": int(np.count_nonzero(case.mask)),
        "seconds": round(wall, 4),
        "cpu_seconds": round(cpu, 4),
        "peak_mib": None if before is None or peak is None else round((peak - before) / 1024, 1),
        "load": round(load, 2),
    }


def scores(filled: np.ndarray, case: Case, judges: dict[str, Callable]) -> dict[str, float | None]:
    """Every figure of one fill. judges: the distances of `measure.JUDGES`, made."""
    found = {"psnr": measure.psnr(filled, case.truth, case.mask), **sharpness(filled, case.truth, case.mask)}
    for name, judge in judges.items():
        found[name] = measure.distance(judge, filled, case.truth, case.mask)
    return {name: None if value is None else round(value, 6) for name, value in found.items()}


def _reset_peak() -> int | None:
    """Memory in KiB that the process holds now, from where its peak is counted anew (Linux only)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _memory_kib("VmRSS")


def _memory_kib(field: str) -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith(field + ":")), None)
