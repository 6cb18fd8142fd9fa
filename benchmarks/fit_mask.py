"""How well a rough stroke becomes the object: `moebius.masking.fit` on objects pasted onto photos.

    PYTHONPATH=. python benchmarks/fit_mask.py PHOTOS OBJECTS [--count 40] [--sheet FILE]

PHOTOS: a folder of photos. OBJECTS: a folder of PNGs; those with transparency are pasted as they are, of those in black
and white the white part is cut out of another photo. Each object is 15 to 45 % of the photo's side, at a random place,
its edge softened by a pixel. Two strokes for each: *painted over*, a blob that overshoots by 6 % of the object's size,
is shifted by up to 4 %, and misses what is thin; and *drawn through*, a line through its parts with a brush of a
twentieth of the photo's side, as it is on the page. Printed is the intersection over union with the known outline, of
the stroke and of the mask as the page would propose it: where nothing is proposed, the stroke.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moebius.masking.fit import fit

SIDE = 512
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass
class Scene:
    name: str
    image: np.ndarray
    """(H, W, 3) uint8, with the object in it."""
    outline: np.ndarray
    """(H, W) bool."""


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def photo(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        side = min(opened.size)
        left, top = (opened.width - side) // 2, (opened.height - side) // 2
        return np.asarray(opened.convert("RGB").crop((left, top, left + side, top + side)).resize((SIDE, SIDE)))


def cut_out(path: Path, other: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """An object's colours (h, w, 3) uint8 and share (h, w) in [0, 1]; `other`: the photo for one without colours."""
    with Image.open(path) as opened:
        has_alpha = opened.has_transparency_data
        rgba = opened.convert("RGBA") if has_alpha else opened.convert("L")
        box = (rgba.getchannel("A") if has_alpha else rgba).getbbox()
        piece = rgba.crop(box)
    scale = side / max(piece.size)
    piece = piece.resize(
        (max(8, round(piece.width * scale)), max(8, round(piece.height * scale))), Image.Resampling.BOX
    )
    pixels = np.asarray(piece)
    if has_alpha:
        return pixels[..., :3], pixels[..., 3] / 255.0
    height, width = pixels.shape
    return other[60 : 60 + height, 60 : 60 + width], pixels / 255.0


def scenes(photos: list[Path], objects: list[Path], count: int) -> list[Scene]:
    rng = np.random.default_rng(0)
    chosen = [objects[k] for k in np.linspace(0, len(objects) - 1, count).round().astype(int)]
    made = []
    for index, path in enumerate(chosen):
        under, other = photo(photos[(7 * index) % len(photos)]), photo(photos[(7 * index + 3) % len(photos)])
        colours, share = cut_out(path, other, int(rng.uniform(0.15, 0.45) * SIDE))
        share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 0.7)
        height, width = share.shape
        top, left = int(rng.integers(8, SIDE - height - 8)), int(rng.integers(8, SIDE - width - 8))
        image, outline = under.copy(), np.zeros((SIDE, SIDE), bool)
        window = slice(top, top + height), slice(left, left + width)
        mixed = share[..., None] * colours + (1 - share[..., None]) * image[window]
        image[window] = mixed.round().astype(np.uint8)
        outline[window] = share >= 0.5
        made.append(Scene(path.stem, image, outline))
    return made


def disc(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def painted_over(outline: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = float(np.sqrt(outline.sum()))
    coarse = cv2.morphologyEx(outline.astype(np.uint8), cv2.MORPH_OPEN, disc(0.07 * size))
    if not coarse.any():
        coarse = outline.astype(np.uint8)
    grown = cv2.dilate(coarse, disc(0.06 * size))
    dx, dy = rng.uniform(-0.04, 0.04, 2) * size
    return cv2.warpAffine(grown, np.float32([[1, 0, dx], [0, 1, dy]]), grown.shape[::-1], flags=cv2.INTER_NEAREST) > 0


def drawn_through(outline: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through points deep in the object, from one end of it to the other."""
    depth = cv2.distanceTransform(outline.astype(np.uint8), cv2.DIST_L2, 5)
    ys, xs = np.nonzero(depth > 0.5 * depth.max())
    along = xs if np.ptp(xs) >= np.ptp(ys) else ys
    order = np.argsort(along, kind="stable")
    points = [(int(xs[k]), int(ys[k])) for k in order[np.linspace(0, len(order) - 1, 5).astype(int)]]
    stroke = np.zeros(outline.shape, np.uint8)
    cv2.polylines(stroke, [np.array(points, np.int32)], False, 1, SIDE // 20)
    return stroke > 0


STROKES: dict[str, Callable] = {"painted over": painted_over, "drawn through": drawn_through}


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("objects", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--sheet", type=Path, help="a picture of all: stroke red, mask blue")
    arguments = parser.parse_args(argv)
    made = scenes(pictures(arguments.photos), pictures(arguments.objects), arguments.count)
    lines = [
        f"N = {len(made)} objects",
        "",
        "| stroke | stroke, mean | worst | fit, mean | worst | better | worse by over 0.05 | not proposed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    drawn = []
    for kind, draw in STROKES.items():
        rng, rows, none = np.random.default_rng(1), [], 0
        for scene in made:
            stroke = draw(scene.outline, rng)
            fitted = fit(scene.image, stroke)
            none += fitted is None
            mask = stroke if fitted is None else fitted
            rows.append((overlap(stroke, scene.outline), overlap(mask, scene.outline)))
            drawn.append((rows[-1], _shown(scene, stroke, mask)))
        before, after = np.array(rows).T
        lines.append(
            f"| {kind} | {before.mean():.3f} | {before.min():.3f} | {after.mean():.3f} | {after.min():.3f} | "
            f"{(after > before).sum()} | {(after < before - 0.05).sum()} | {none} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.sheet:
        drawn.sort(key=lambda one: one[0][1] - one[0][0])
        rows = [np.hstack([picture for _, picture in drawn[k : k + 8]]) for k in range(0, len(drawn) - 7, 8)]
        Image.fromarray(np.vstack(rows)).save(arguments.sheet)
    return 0


def _shown(scene: Scene, stroke: np.ndarray, mask: np.ndarray) -> np.ndarray:
    picture = scene.image.copy()
    for one, colour in ((stroke, (255, 60, 40)), (mask, (40, 130, 255)), (scene.outline, (255, 255, 255))):
        edge = one & ~cv2.erode(one.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        picture[edge] = colour
    return cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    raise SystemExit(main())
