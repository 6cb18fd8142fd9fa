"""How much of a colour cast the seam correction takes away, and what it does where there is none.

    PYTHONPATH=. python benchmarks/seam_colours.py PHOTOS [--count 24]

Every photo is cut to a square of 512 pixels with a hole of 200×200 in its middle. Stand-in for a model's fill is the
truth, all of it: with no cast, with a cast (each channel raised or lowered by up to 10 grey levels, sloping by up to
6 across the square), or another photo, whose colours at the rim say nothing. Printed is the mean absolute error of the
fill's low band (Gaussian, 8 pixels) in the hole, before and after; for the other photo, how far the fill was moved.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moebius.patchmatch.seam import match_seam

SIDE, LOW_PX = 512, 8


def square(path: Path) -> np.ndarray:
    with Image.open(path) as photo:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        return np.asarray(photo.convert("RGB").crop((left, top, left + side, top + side)).resize((SIDE, SIDE)))


def cast(rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) float32: an offset and a slope for each channel."""
    y, x = np.indices((SIDE, SIDE), dtype=np.float32) / SIDE - 0.5
    offset, slope_y, slope_x = rng.uniform(-10, 10, 3), rng.uniform(-6, 6, 3), rng.uniform(-6, 6, 3)
    return (offset + y[..., None] * slope_y + x[..., None] * slope_x).astype(np.float32)


def low_error(a: np.ndarray, b: np.ndarray, hole: np.ndarray) -> float:
    return float(np.abs(cv2.GaussianBlur(a.astype(np.float32) - b, (0, 0), LOW_PX))[hole].mean())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args(argv)
    paths = sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() in {".jpg", ".png"})
    paths = [paths[k] for k in np.linspace(0, len(paths) - 1, min(arguments.count, len(paths))).round().astype(int)]
    hole = np.zeros((SIDE, SIDE), bool)
    hole[156:356, 156:356] = True
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, float]]] = {"no cast": [], "cast": [], "another photo": []}
    before = square(paths[-1])
    for path in paths:
        truth = square(path)
        fills = {"no cast": truth.astype(np.float32), "cast": truth + cast(rng), "another photo": before}
        for name, fill in fills.items():
            corrected = match_seam(truth, hole, fill.astype(np.float32))
            wanted = fill if name == "another photo" else truth
            rows[name].append((low_error(fill, wanted, hole), low_error(corrected, wanted, hole)))
        before = truth
    lines = [f"N = {len(paths)}", "", "| fill | error before | after, median | 90 % |", "|---|---|---|---|"]
    for name, errors in rows.items():
        first, second = np.array(errors).T
        lines.append(f"| {name} | {np.median(first):.2f} | {np.median(second):.2f} | {np.quantile(second, 0.9):.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
