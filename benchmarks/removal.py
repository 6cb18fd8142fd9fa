"""From nothing to reports on removals with a truth: composed pairs at 512, careless masks, and photos of 12 megapixels.

    python -m benchmarks.removal OUT                               # pairs at 512 and careless masks
    python -m benchmarks.real_size.fetch PHOTOS                    # once: 140 MB from Debian's archive
    python -m benchmarks.removal OUT --photos PHOTOS               # the large ones as well
    python -m benchmarks.removal OUT --kills 3                     # twice: once whole, once killed three times

A run resumes where it stopped. `--kills` kills a second run (all its processes, SIGKILL) at random moments, starts it
again each time, and compares every results.json with that of the undisturbed run, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

MODELS = "classical,telea,navier-stokes"
PARTS = ("pairs-512", "careless-512", "pairs-12mp")


def commands(out: Path, options: argparse.Namespace) -> list[list[str]]:
    """Words after `python -m eval`, in their order."""
    small, large = out / "made-512", out / "made-12mp"
    run = ["run", "--models", options.models, "--features", "efficientnet-lite0", "--device", "cpu"]
    run += ["--no-time"] if options.kills else ["--rounds", "3"]
    found = [
        ["pairs", "--count", str(max(options.pairs, options.careless)), "-o", str(small)],
        [*run, "--pairs", str(small), "--limit", str(options.pairs), "-o", str(out / PARTS[0])],
        [
            *run,
            "--pairs",
            str(small),
            "--masks",
            "careless",
            "--limit",
            str(options.careless),
            "-o",
            str(out / PARTS[1]),
        ],
    ]
    if options.photos:
        made = ["pairs", "--photos", str(options.photos), "--megapixels", "12", "--count", str(options.large)]
        found += [[*made, "-o", str(large)], [*run, "--pairs", str(large), "-o", str(out / PARTS[2])]]
    return found


def run_all(out: Path, options: argparse.Namespace) -> None:
    for words in commands(out, options):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "eval", *words], check=True)
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  python -m eval {' '.join(words)}\n")


def killed_run(out: Path, options: argparse.Namespace, seconds: float) -> None:
    """The same in processes of their own, killed at random moments of about `seconds` altogether."""
    words = [sys.executable, "-m", "benchmarks.removal", str(out), "--models", options.models, "--unclocked"]
    words += [f"--{name}={getattr(options, name)}" for name in ("pairs", "careless", "large")]
    words += ["--photos", str(options.photos)] if options.photos else []
    for number in range(options.kills + 1):
        child = subprocess.Popen(words, start_new_session=True)
        if number == options.kills:
            if child.wait():
                raise SystemExit("the last run failed")
            return
        moment = random.uniform(0.05, 0.95) * seconds / (options.kills + 1)
        try:
            child.wait(moment)
            sys.stderr.write("it ended before it was killed\n")
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            sys.stderr.write(f"killed after {moment:.1f} s\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for pairs, fills, scores and reports")
    parser.add_argument("--models", default=MODELS, metavar="A,B", help=f"(default {MODELS})")
    parser.add_argument("--pairs", type=int, default=40, metavar="N", help="pairs at 512 (default 40)")
    parser.add_argument("--careless", type=int, default=12, metavar="N", help="pairs with careless masks (default 12)")
    parser.add_argument("--large", type=int, default=6, metavar="N", help="pairs of 12 megapixels (default 6)")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="large photos; without them, none of 12 megapixels")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="compare with a run killed so often")
    parser.add_argument("--unclocked", action="store_true", help="without times")
    options = parser.parse_args(argv)
    if not options.kills:
        options.kills = int(options.unclocked)  # times are of no use there
        run_all(options.out, options)
        return 0
    began = time.monotonic()
    run_all(options.out / "whole", options)
    killed_run(options.out / "killed", options, time.monotonic() - began)
    differ = []
    for part in PARTS:
        whole, killed = (options.out / run / part / "results.json" for run in ("whole", "killed"))
        if whole.is_file() and whole.read_bytes() != killed.read_bytes():
            differ.append(part)
    sys.stdout.write(
        f"results.json differs: {', '.join(differ)}\n" if differ else "every results.json is the same, byte for byte\n"
    )
    return int(bool(differ))


if __name__ == "__main__":
    raise SystemExit(main())
