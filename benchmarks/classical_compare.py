"""Compare fillers that need no weights: PSNR in the hole, sharpness of the fill, seconds.

    python benchmarks/classical_compare.py --images PHOTOS --masks SILHOUETTES [--count 24] [--sheets DIR]

Every photo is filled twice: under free-form strokes and under the outline of an object. The holes are drawn from a
seed that hangs on the photo's file name, so every method and every run sees the same ones. Methods whose package is
not installed are left out and named. Printed as Markdown; `--sheets` also writes pictures to look at.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SIDE = 512
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Photo (H, W, 3) uint8 and hole (H, W) bool, True = fill, to the filled photo (H, W, 3) uint8."""


def opencv(flag: str, radius: int) -> Method:
    def fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        import cv2

        return cv2.inpaint(image, hole.astype(np.uint8), radius, getattr(cv2, flag))

    return fill


def opencv_xphoto(flag: str) -> Method:
    def fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        import cv2

        # SHIFTMAP compares colours in Lab; xphoto wants 0 where it shall fill.
        shiftmap = flag == "INPAINT_SHIFTMAP"
        source = cv2.cvtColor(image, cv2.COLOR_RGB2Lab) if shiftmap else image
        filled = np.empty_like(source)
        cv2.xphoto.inpaint(source, (~hole).astype(np.uint8) * 255, filled, getattr(cv2.xphoto, flag))
        return cv2.cvtColor(filled, cv2.COLOR_Lab2RGB) if shiftmap else filled

    return fill


def biharmonic(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(image / 255.0, hole, channel_axis=-1)
    return (filled.clip(0, 1) * 255).round().astype(np.uint8)


def pypatchmatch(patch_radius: int) -> Method:
    def fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        import patchmatch

        patchmatch.set_random_seed(0)
        return patchmatch.inpaint(image, hole, patch_size=patch_radius)

    return fill


def patchmatch_cython(**options: object) -> Method:
    def fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        from patchmatch_cython import inpaint_pyramid

        return inpaint_pyramid(image, hole, seed=0, **options)

    return fill


def ours(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from moebius.config import SamplingConfig
    from moebius.fill.call_progress import CallProgress
    from moebius.inpainters.classical import ClassicalInpainter

    (filled,) = ClassicalInpainter().fill_squares([image], [hole], SamplingConfig(), [None], CallProgress())
    return filled.round().astype(np.uint8)


METHODS: dict[str, Method] = {
    "OpenCV Telea, radius 3": opencv("INPAINT_TELEA", 3),
    "OpenCV Telea, radius 5": opencv("INPAINT_TELEA", 5),
    "OpenCV Telea, radius 10": opencv("INPAINT_TELEA", 10),
    "OpenCV Navier-Stokes, radius 3": opencv("INPAINT_NS", 3),
    "OpenCV Navier-Stokes, radius 10": opencv("INPAINT_NS", 10),
    "scikit-image biharmonic": biharmonic,
    "OpenCV xphoto SHIFTMAP": opencv_xphoto("INPAINT_SHIFTMAP"),
    "OpenCV xphoto FSR_FAST": opencv_xphoto("INPAINT_FSR_FAST"),
    "patchmatch-cython": patchmatch_cython(),
    "patchmatch-cython, edges, 2 loops": patchmatch_cython(edge_weighted=True, em_loops=2),
    "PyPatchMatch, patch radius 2": pypatchmatch(2),
    "PyPatchMatch, patch radius 3": pypatchmatch(3),
    "PyPatchMatch, patch radius 5": pypatchmatch(5),
    "`classical` as it ships": ours,
}


def missing_package(name: str) -> str | None:
    """The package that method `name` lacks here, or None."""
    needs = {"scikit": "skimage", "patchmatch-cython": "patchmatch_cython", "PyPatchMatch": "patchmatch"}
    for start, module in needs.items():
        if name.startswith(start) and find_spec(module) is None:
            return module
    if "xphoto" in name:
        import cv2

        return None if hasattr(cv2, "xphoto") else "opencv-contrib-python-headless"
    return None


def strokes(rng: np.random.Generator) -> np.ndarray:
    """Free-form hole (SIDE, SIDE) bool: one to four thick brush strokes."""
    canvas = Image.new("1", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0.15, 0.85, 2) * SIDE
        angle, width = rng.uniform(0, 2 * np.pi), int(rng.integers(12, 56))
        for _ in range(int(rng.integers(2, 6))):
            angle += rng.uniform(-0.8, 0.8)
            length = rng.uniform(30, 110)
            to = (x + length * np.cos(angle), y + length * np.sin(angle))
            draw.line([(x, y), to], fill=1, width=width)
            draw.ellipse([to[0] - width / 2, to[1] - width / 2, to[0] + width / 2, to[1] + width / 2], fill=1)
            x, y = to
    return np.array(canvas)


def outline(rng: np.random.Generator, silhouettes: list[Path]) -> np.ndarray:
    """Object-shaped hole (SIDE, SIDE) bool: one outline, scaled to 25-60 % of the side, wholly inside."""
    with Image.open(silhouettes[int(rng.integers(len(silhouettes)))]) as shape:
        shape = shape.convert("L")
    shape = shape.crop(shape.getbbox())
    shape.thumbnail([int(rng.uniform(0.25, 0.6) * SIDE)] * 2)
    canvas = Image.new("L", (SIDE, SIDE))
    canvas.paste(shape, tuple(int(rng.integers(8, SIDE - side - 8)) for side in shape.size))
    return np.asarray(canvas) >= 128


def gradient_energy(image: np.ndarray, hole: np.ndarray) -> float:
    """Mean gradient length in grey levels per pixel inside the hole, its rim left out."""
    grey = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    dy, dx = np.gradient(grey)
    inner = hole.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(hole, step, axis)
    return float(np.hypot(dx, dy)[inner].mean())


def score(truth: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> tuple[float, float]:
    """PSNR in dB over the hole's pixels, and gradient energy of the fill over that of the truth (1 = as sharp)."""
    error = np.mean((truth[hole].astype(np.float64) - filled[hole]) ** 2)
    psnr = 10 * np.log10(255**2 / max(error, 1e-9))
    return psnr, gradient_energy(filled, hole) / gradient_energy(truth, hole)


def load_cases(images: Path, masks: Path, count: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """`count` photos spread evenly over the folder, each with both kinds of hole: (label, photo, hole)."""
    photos = sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES)
    silhouettes = sorted(path for path in masks.iterdir() if path.suffix.lower() in SUFFIXES)
    if not photos or not silhouettes:
        raise SystemExit(f"no pictures in {images if not photos else masks}")
    chosen = [photos[i] for i in np.linspace(0, len(photos) - 1, min(count, len(photos))).round().astype(int)]
    cases = []
    for path in chosen:
        rng = np.random.default_rng(int.from_bytes(sha256(path.name.encode()).digest()[:8], "big"))
        with Image.open(path) as photo:
            side = min(photo.size)
            left, top = (photo.width - side) // 2, (photo.height - side) // 2
            square = photo.convert("RGB").crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        truth = np.asarray(square)
        cases.append((f"{path.stem} strokes", truth, strokes(rng)))
        cases.append((f"{path.stem} object", truth, outline(rng, silhouettes)))
    return cases


def write_sheet(path: Path, rows: list[tuple[str, list[np.ndarray]]], names: list[str], cell: int = 300) -> None:
    """One row a case, one column a method, as PNG."""
    sheet = Image.new("RGB", (cell * len(names), 16 + cell * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        draw.text((column * cell + 4, 2), name, fill="black")
    for row, (label, pictures) in enumerate(rows):
        for column, picture in enumerate(pictures):
            small = Image.fromarray(picture).resize((cell - 4, cell - 4), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * cell, 16 + row * cell))
        draw.text((6, 18 + row * cell), label, fill="white", stroke_width=1, stroke_fill="black")
    sheet.save(path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--masks", type=Path, required=True, help="folder of object outlines, white = object")
    parser.add_argument("--count", type=int, default=24, help="photos to fill, twice each (default 24)")
    parser.add_argument("--only", default="", help="methods whose name holds one of these words, comma between them")
    parser.add_argument("--sheets", type=Path, help="folder for pictures to look at")
    arguments = parser.parse_args(argv)

    words = [word.strip().lower() for word in arguments.only.split(",")]
    names = [name for name in METHODS if any(word in name.lower() for word in words)]
    absent = {name: package for name in names if (package := missing_package(name))}
    names = [name for name in names if name not in absent]
    cases = load_cases(arguments.images, arguments.masks, arguments.count)
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    rows = []
    for label, truth, hole in cases:
        damaged = truth.copy()
        damaged[hole] = 128  # the truth must not leak into a method that peeks under the hole
        pictures = [truth, damaged]
        for name in names:
            started = time.perf_counter()
            try:
                filled = METHODS[name](damaged, hole)
            except ValueError as error:  # counted in the table; scikit-image 0.26 does so on some holes
                sys.stderr.write(f"{name} failed: {error}\n")
                results[name].append((np.nan, np.nan, np.nan))
                pictures.append(damaged)
                continue
            seconds = time.perf_counter() - started
            results[name].append((*score(truth, filled, hole), seconds))
            pictures.append(np.where(hole[..., None], filled, truth))
        rows.append((label, pictures))
        sys.stderr.write(f"{len(rows)}/{len(cases)} {label}\n")

    out = [
        f"N = {len(cases)} fills of {len(cases) // 2} photos at {SIDE}x{SIDE}; holes cover "
        f"{100 * np.mean([hole.mean() for _, _, hole in cases]):.1f} % on average",
        "",
        "| method | PSNR strokes (dB) | PSNR object (dB) | sharpness strokes | sharpness object "
        "| seconds, median | seconds, p90 | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        psnr, sharp, seconds = np.array(results[name]).T
        out.append(
            f"| {name} | {np.nanmean(psnr[::2]):.2f} | {np.nanmean(psnr[1::2]):.2f} | {np.nanmedian(sharp[::2]):.2f} "
            f"| {np.nanmedian(sharp[1::2]):.2f} | {np.nanmedian(seconds):.2f} "
            f"| {np.nanquantile(seconds, 0.9):.2f} | {int(np.isnan(psnr).sum())} |"
        )
    out += [f"\nLeft out: {name} ({package} is not installed)" for name, package in absent.items()]
    sys.stdout.write("\n".join(out) + "\n")
    if arguments.sheets:
        arguments.sheets.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(rows), 4):
            path = arguments.sheets / f"fills_{first // 4:02d}.png"
            write_sheet(path, rows[first : first + 4], ["photo", "hole", *names])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
