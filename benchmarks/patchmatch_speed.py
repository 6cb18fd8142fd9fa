"""Time our filler and detail stage against PyPatchMatch and the `classical` of this checkout, by size of the hole.

    PYTHONPATH=. python benchmarks/patchmatch_speed.py [--photo PHOTO] [--holes 0.25 1 4] [--only fill,detail]

Each round times every method once on every hole, one after the other, so that a slow minute of the machine meets all of
them. Seconds are wall clock, CPU seconds (all threads) beside them: on a busy machine only the latter say much. Every
method gets the same square: 1.75 times the hole's side, as `classical` gets it. `detail` starts from the truth at 512
pixels. Kernels are compiled before. Memory is what the process grew by at its peak, of one more run in a process of its
own. Printed as Markdown. PyPatchMatch is not installed with the rest: pip install "pypatchmatch>=2.2,<3".
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from moebius import devices

CONTEXT = 1.75
MODEL_SIDE = 512
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Photo (S, S, 3) uint8 and hole (S, S) bool to the filled photo."""


def fill(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from moebius.patchmatch.filler import fill

    return fill(photo, hole)


def detail(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from moebius.patchmatch.detail import detail

    side = min(MODEL_SIDE, hole.shape[0])
    coarse = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    return detail(photo, hole, coarse)


def pypatchmatch(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    import patchmatch

    patchmatch.set_random_seed(0)
    return patchmatch.inpaint(photo, hole, patch_size=3)


def classical(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from moebius.config import SamplingConfig
    from moebius.inpainters.classical import ClassicalInpainter

    return ClassicalInpainter().fill_square(photo, hole, SamplingConfig(), None, lambda share, text: None)


METHODS: dict[str, Method] = {
    "detail": detail,
    "fill": fill,
    "classical": classical,
    "PyPatchMatch": pypatchmatch,
}


def made_up_photo(side: int) -> np.ndarray:
    """(side, side, 3) uint8 with content at all scales: noise whose energy falls with frequency, as a photo's does."""
    rng = np.random.default_rng(0)
    total = np.zeros((side, side, 3), np.float32)
    size = 4
    while size < side:
        noise = rng.normal(0, 1, (size, size, 3)).astype(np.float32)
        total += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC) * (8 / size) ** 0.5
        size *= 2
    return (128 + 30 * total).clip(0, 255).astype(np.uint8)


def case(photo: np.ndarray | None, megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of the photo (or a made-up one) and a square hole of so many million pixels in its middle."""
    side = round((megapixels * 1e6) ** 0.5)
    whole = round(CONTEXT * side)
    if photo is None or min(photo.shape[:2]) < whole:
        photo = made_up_photo(whole)
    top, left = (photo.shape[0] - whole) // 2, (photo.shape[1] - whole) // 2
    square = np.ascontiguousarray(photo[top : top + whole, left : left + whole])
    hole = np.zeros((whole, whole), bool)
    start = (whole - side) // 2
    hole[start : start + side, start : start + side] = True
    return square, hole


def peak_mib() -> float:
    return 1024 * (devices.peak_gib()["memory"] or 0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, help="photo large enough for the holes; one is made up where it is not")
    parser.add_argument("--holes", type=float, nargs="+", default=[0.25, 1, 4], help="millions of pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(METHODS), help="comma-separated methods")
    parser.add_argument("--memory", choices=METHODS, help="run one method once and print how much memory it took, MiB")
    arguments = parser.parse_args(argv)
    photo = cv2.imread(str(arguments.photo))[..., ::-1] if arguments.photo else None
    if arguments.memory:
        square, hole = case(photo, arguments.holes[0])
        METHODS[arguments.memory](*case(None, 0.01))
        before = peak_mib()
        METHODS[arguments.memory](square, hole)
        sys.stdout.write(f"{peak_mib() - before:.0f}\n")
        return 0

    names = [name for name in METHODS if name in arguments.only.split(",")]
    cases = {size: case(photo, size) for size in arguments.holes}
    for name in names:
        METHODS[name](*case(None, 0.01))
    taken: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for size, (square, hole) in cases.items():
            for name in names:
                wall, cpu = time.perf_counter(), time.process_time()
                METHODS[name](square, hole)
                spent = (time.perf_counter() - wall, time.process_time() - cpu)
                taken.setdefault((name, size), []).append(spent)
                sys.stderr.write(f"{name} {size:g} MP: {spent[0]:.2f} s, CPU {spent[1]:.2f} s\n")
    load = os.getloadavg()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "opencv-python-headless"))
    out = [
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load at the end {load:.1f}; "
        f"{versions}; medians of {arguments.rounds}, lowest to highest in brackets",
        "",
        "| method | hole, MP | seconds | CPU seconds | MiB |",
        "|---|---|---|---|---|",
    ]
    for (name, size), spent in taken.items():
        wall, cpu = zip(*spent, strict=True)
        command = [sys.executable, __file__, "--memory", name, "--holes", str(size)]
        memory = subprocess.run(
            command + (["--photo", str(arguments.photo)] if arguments.photo else []), capture_output=True, text=True
        ).stdout.strip()
        cells = (f"{statistics.median(s):.2f} [{min(s):.2f}, {max(s):.2f}]" for s in (wall, cpu))
        out.append(f"| {name} | {size:g} | {' | '.join(cells)} | {memory} |")
    sys.stdout.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
