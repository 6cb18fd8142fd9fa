"""Compile the kernels ahead, so that nobody's first fill waits for it.

numba keeps compiled kernels on disk, beside the sources or, where that folder cannot be written, in the user's cache
(`NUMBA_CACHE_DIR` names another place). They hold for one processor type and one state of the sources, so they are
not shipped but made: about 8 s of one core once, about 1 MB; each later process loads them in 0.6 s.

    python -m moebius.patchmatch.compile      # in an image's build, or after an installation

A server calls `start` when it starts: a process of its own compiles, because compiling in a thread would hold up the
server's other threads, and then a thread loads the result.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

SIDE = 48
_lock = threading.Lock()
_loader: threading.Thread | None = None


def run_every_kernel() -> None:
    """Compile or load all kernels, by filling a picture of 48×48 pixels on this thread."""
    from moebius.patchmatch import detail, filler

    image = (np.indices((SIDE, SIDE)).sum(axis=0) * 2).astype(np.uint8)  # a slope, grey
    hole = np.zeros((SIDE, SIDE), bool)
    hole[16:32, 16:32] = True
    coarse = np.full((SIDE // 2, SIDE // 2, 3), 128, np.float32)
    two_levels = filler.StructureConfig(min_side=SIDE // 2, rounds=(1,), passes=(1,), onion_passes=1)
    for exact_work in (0, 2_000_000):  # once searched, once compared with every patch
        config = filler.FillConfig(structure=filler.StructureConfig(**vars(two_levels) | {"exact_work": exact_work}))
        filler.fill(image, hole, threads=1, config=config)
    detail.detail(image, hole, coarse, threads=1)


def start() -> None:
    """Compile and load in the background; does nothing when called again."""
    global _loader
    with _lock:
        if _loader is None:
            _loader = threading.Thread(target=_compile_and_load, name="patchmatch-compile", daemon=True)
            _loader.start()


def wait(timeout_s: float | None = None) -> bool:
    """Wait for what `start` began; True once the kernels are loaded."""
    start()
    _loader.join(timeout_s)
    return not _loader.is_alive()


def _compile_and_load() -> None:
    root = Path(__file__).resolve().parents[2]  # also where moebius is not installed
    command = [sys.executable, "-c", "from moebius.patchmatch.compile import run_every_kernel; run_every_kernel()"]
    subprocess.run(command, cwd=root, check=False)  # what it could not do, the next line does
    run_every_kernel()


def main() -> int:
    started = time.perf_counter()
    run_every_kernel()
    sys.stdout.write(f"The kernels are compiled ({time.perf_counter() - started:.1f} s).\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
