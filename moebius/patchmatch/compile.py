"""Compile the kernels ahead, so that nobody's first fill waits for it.

numba keeps compiled kernels on disk, beside the sources or, where that folder cannot be written, in the user's cache
(`NUMBA_CACHE_DIR` names another place). They hold for one processor type and one state of the sources, so they are
not shipped but made: about 8 s of one core once, about 1 MB; each later process loads them in 0.6 s.

    python -m moebius.patchmatch.compile      # in an image's build, or after an installation

`start` does it in the background, `ready` waits for it and reports meanwhile, so that a fill that comes too early can
be stopped. A server has a process of its own compile, because compiling in a thread would hold up its other threads.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from moebius.patchmatch.meter import Progress, silent

SIDE = 48
POLL_S = 0.1
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


def start(apart: bool = False) -> None:
    """Compile and load in the background; does nothing when called again.

    Args:
        apart: what is not on the disk yet is compiled by a process of its own, before a thread loads it.
    """
    global _loader
    with _lock:
        if _loader is None:
            _loader = threading.Thread(target=_load, args=(apart,), name="patchmatch-compile", daemon=True)
            _loader.start()


def ready(progress: Progress = silent) -> None:
    """Return once the kernels are loaded. progress: may raise, then they are loaded all the same."""
    start()
    while _loader.is_alive():
        progress(0.0, "Loading the filler" if on_disk() else "Compiling the filler, once on this computer")
        _loader.join(POLL_S)


def on_disk() -> bool:
    """Whether numba seems to have kept what the sources now say; wrong only where somebody set a file's time."""
    from moebius.patchmatch import blend, features, kernels

    folder = Path(kernels.vote_band.stats.cache_path)
    last_compiled = ((kernels, kernels.vote_band), (blend, blend.relax), (features, features.add_high))
    for module, kernel in last_compiled:
        changed, code = Path(module.__file__).stat().st_mtime, kernel.py_func.__code__
        name = f"{Path(module.__file__).stem}.{code.co_name}-{code.co_firstlineno}.*.nbi"  # as numba names it
        if not any(file.stat().st_mtime >= changed for file in folder.glob(name)):
            return False
    return True


def _load(apart: bool) -> None:
    if apart and not on_disk():
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
