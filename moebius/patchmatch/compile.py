"""Compile the kernels ahead, so that the first fill need not wait for it.

numba keeps compiled kernels on disk, beside the sources or, where that folder cannot be written, in the user's cache
(`NUMBA_CACHE_DIR` names another place). They are valid for one processor type and one version of the sources, so they
are not part of the package. Compiling takes about 8 s of one core and 1 MB; each later process loads them in 0.6 s.

    python -m moebius.patchmatch.compile      # while a container image is built, or after an installation

`start` compiles in the background. `ready` waits for it and reports progress meanwhile, so that a fill that is too
early can be cancelled. A server compiles in a separate process, because a compiling thread would block its other
threads.
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
    """Whether numba's cache seems to be newer than the sources; wrong only if file times were changed."""
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
