"""Records to tables: figures of every method by the size of the hole, and paired differences with their intervals."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from benchmarks.real_size import measure

Row = dict[str, Any]
ALL = "all"
LOWER_IS_BETTER = {"lite0", "lite2"}
DIFFERENCES = ("lite0", "lite2", "psnr", "gradient_truth")
PACKAGES = ("numpy", "opencv-python-headless", "numba", "torch", "pypatchmatch")


def summary(rows: Iterable[Row], names: list[str]) -> list[Row]:
    """A row for each size of hole (and all) and method."""
    rows = list(rows)
    found = []
    for size in _sizes(rows):
        for name in names:
            part = [row for row in rows if row["method"] == name and size in (row["size"], ALL)]
            if part:
                found.append({"size": size, "method": name, **_figures(part)})
    return found


def _figures(part: list[Row]) -> Row:
    def values(key: str) -> np.ndarray:
        return np.array([row[key] for row in part if row.get(key) is not None], float)

    def of(key: str, statistic, *arguments: float) -> float | None:
        found = values(key)
        return round(float(statistic(found, *arguments)), 4) if len(found) else None

    return {
        "cases": len(part),
        "photos": len({row["group"] for row in part}),
        **{
            f"{key}_median": of(key, np.median)
            for key in ("gradient_truth", "gradient_around", "truth_gradient_around", "fine_truth", "fine_around")
        },
        "gradient_around_p10": of("gradient_around", np.quantile, 0.1),
        "gradient_around_p90": of("gradient_around", np.quantile, 0.9),
        **{key: of(key, np.mean) for key in ("lite0", "lite2", "psnr")},
        "seconds_median": of("seconds", np.median),
        "seconds_p90": of("seconds", np.quantile, 0.9),
        "cpu_seconds_median": of("cpu_seconds", np.median),
        "cpu_seconds_a_million": round(float(values("cpu_seconds").sum() / values("hole_pixels").sum() * 1e6), 3),
        "peak_mib_max": of("peak_mib", np.max),
        "load_median": of("load", np.median),
    }


def differences(rows: Iterable[Row], pairs: Iterable[tuple[str, str]]) -> list[Row]:
    """One method minus another on the cases that both have, by the size of the hole."""
    rows = list(rows)
    by_key = {(row["photo"], row["size"], row["method"]): row for row in rows}
    found = []
    for one, other in pairs:
        for size in _sizes(rows):
            both = [
                (row, by_key[row["photo"], row["size"], other])
                for row in rows
                if row["method"] == one and size in (row["size"], ALL) and (row["photo"], row["size"], other) in by_key
            ]
            for key in DIFFERENCES:
                known = [(a, b) for a, b in both if a.get(key) is not None and b.get(key) is not None]
                if not known:
                    continue
                ours, theirs = ([row[key] for row in side] for side in zip(*known, strict=True))
                interval = measure.paired(ours, theirs, [a["group"] for a, _ in known])
                change = np.subtract(ours, theirs)
                found.append(
                    {
                        "one": one,
                        "other": other,
                        "size": size,
                        "figure": key,
                        "cases": len(known),
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "better": int((change < 0).sum() if key in LOWER_IS_BETTER else (change > 0).sum()),
                    }
                )
    return found


def markdown(table: list[Row], changes: list[Row], facts: Row) -> str:
    lines = [
        f"{facts['set']}: {facts['cases']} holes in {facts['photos']} photos. {facts['machine']}.",
        "",
        "| hole | method | N | sharpness beside truth | beside surroundings (10-90 %) | fine, truth | fine, surr. "
        "| Lite0 | Lite2 | PSNR dB | s, median (p90) | CPU s | CPU s a million | MiB |",
        "|---" * 14 + "|",
    ]
    for row in table:
        around = [_n(row[f"gradient_around_{key}"]) for key in ("median", "p10", "p90")]
        lines.append(
            "| "
            + " | ".join(
                (
                    row["size"],
                    f"`{row['method']}`",
                    str(row["cases"]),
                    _n(row["gradient_truth_median"]),
                    f"{around[0]} ({around[1]}-{around[2]})",
                    _n(row["fine_truth_median"]),
                    _n(row["fine_around_median"]),
                    _n(row["lite0"], 4),
                    _n(row["lite2"], 4),
                    _n(row["psnr"]),
                    f"{_n(row['seconds_median'])} ({_n(row['seconds_p90'])})",
                    _n(row["cpu_seconds_median"]),
                    _n(row["cpu_seconds_a_million"]),
                    _n(row["peak_mib_max"], 0),
                )
            )
            + " |"
        )
    lines += [
        "",
        "| difference | hole | N | figure | mean [95 % over photos] | better in |",
        "|---" * 6 + "|",
    ]
    for row in changes:
        span = "" if row["low"] is None else f" [{row['low']:+.4f}, {row['high']:+.4f}]"
        lines.append(
            f"| `{row['one']}` - `{row['other']}` | {row['size']} | {row['cases']} | {row['figure']} "
            f"| {row['mean']:+.4f}{span} | {row['better']} of {row['cases']} |"
        )
    lines += ["", *(f"Left out: `{name}` ({why})" for name, why in facts["left_out"].items())]
    return "\n".join(lines).rstrip() + "\n"


def machine() -> str:
    """Processor, cores that may be used, and versions, in one line."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{name}, {cores} cores; {', '.join(found)}"


def _sizes(rows: list[Row]) -> list[str]:
    sizes = sorted({row["size"] for row in rows}, key=float)
    return sizes if len(sizes) == 1 else [*sizes, ALL]


def _n(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
