"""Random holes, the same for training and evaluation: strokes, boxes and object-like shapes.

Every generator takes its randomness as a `RandomState`, whose stream numpy has frozen, so that one seed gives one
mask on every machine. Masks are (H, W) bool, True = hole, neither empty nor full.

Sources: LaMa (Suvorov 2022, arXiv:2109.07161, its published settings for 256 and 512), MAT (Li 2022,
arXiv:2203.15270, after CoModGAN, arXiv:2103.10428). The 40-50 % holes and the object-like shapes are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import cv2
import numpy as np
from PIL import Image, ImageDraw

Random = np.random.RandomState
Generator = Callable[[Random, int], np.ndarray]
"""(randomness, side in pixels) -> (side, side) bool."""


def seed_of(set_seed: int, image_id: str) -> int:
    """A seed in [0, 2**64) that depends on nothing but these two: not on the machine, the order or the process."""
    return int.from_bytes(sha256(f"{set_seed}:{image_id}".encode()).digest()[:8], "big")


def random_of(seed: int) -> Random:
    """The randomness that belongs to a seed in [0, 2**64)."""
    return Random(np.random.MT19937(np.random.SeedSequence(seed)))


def make(kind: str, seed: int, side: int) -> np.ndarray:
    """The mask of one of `KINDS`, (side, side) bool. Raises ValueError for an unknown kind or another side than its."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of mask {kind!r}; choose from {', '.join(KINDS)}")
    sides = KINDS[kind].sides
    if sides and side not in sides:
        raise ValueError(f"masks of kind {kind!r} are made for pictures of {sides[0]}×{sides[0]}, not {side}×{side}")
    return KINDS[kind].generate(random_of(seed), side)


# ---- LaMa ----


@dataclass(frozen=True, kw_only=True)
class Strokes:
    """Chains of 1-5 thick straight segments, turning by up to 4 radians, mirrored for every second chain."""

    times: tuple[int, int]
    """How many chains, both ends included (the numbers of LaMa's settings; its code draws up to one more)."""
    max_width: int
    """A segment is 5 + [0, max_width) pixels wide."""
    max_length: int
    """A segment is 10 + [0, max_length) pixels long."""


@dataclass(frozen=True, kw_only=True)
class Boxes:
    share: float
    """Weight of boxes against strokes, whose weight is 1: a mask is either strokes or boxes."""
    times: tuple[int, int]
    sides: tuple[int, int]
    """In pixels, both ends included."""
    margin: int = 0
    """Distance to the picture's edge that is kept."""


def lama(random: Random, side: int, strokes: Strokes, boxes: Boxes | None, max_share: float = 0.5) -> np.ndarray:
    """LaMa's mixture, drawn again until at most `max_share` of the picture is hole."""
    while True:
        if boxes and random.random_sample() < boxes.share / (1 + boxes.share):
            mask = _boxes(random, side, boxes)
        else:
            mask = _strokes(random, side, strokes)
        if 0 < mask.mean() <= max_share:
            return mask


def _strokes(random: Random, side: int, strokes: Strokes) -> np.ndarray:
    canvas = np.zeros((side, side), np.uint8)
    for chain in range(_between(random, *strokes.times)):
        x, y = random.randint(side), random.randint(side)
        for _ in range(_between(random, 1, 5)):
            angle = (-1 if chain % 2 == 0 else 1) * (0.01 + random.randint(4))
            length, width = 10 + random.randint(strokes.max_length), 5 + random.randint(strokes.max_width)
            end_x = min(max(int(x + length * math.sin(angle)), 0), side)
            end_y = min(max(int(y + length * math.cos(angle)), 0), side)
            cv2.line(canvas, (x, y), (end_x, end_y), 1, width)
            x, y = end_x, end_y
    return canvas.astype(bool)


def _boxes(random: Random, side: int, boxes: Boxes) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    largest = min(boxes.sides[1], side - 2 * boxes.margin)
    for _ in range(_between(random, *boxes.times)):
        width, height = _between(random, boxes.sides[0], largest), _between(random, boxes.sides[0], largest)
        x = _between(random, boxes.margin, side - boxes.margin - width)
        y = _between(random, boxes.margin, side - boxes.margin - height)
        mask[y : y + height, x : x + width] = True
    return mask


# ---- MAT ----


def mat(random: Random, side: int, half_boxes: int, full_boxes: int, brushes: int) -> np.ndarray:
    """MAT's free-form mask: boxes up to half the side, boxes up to the side, brush strokes.

    Fewer than `half_boxes`, `full_boxes` and `brushes` of each are drawn; large holes: 5, 3, 9; small: 3, 2, 4.
    """
    while True:
        mask = np.zeros((side, side), bool)
        for count, limit in ((half_boxes, side // 2), (full_boxes, side)):
            for _ in range(random.randint(count)):
                width, height = random.randint(limit), random.randint(limit)
                x = random.randint(-(width // 2), side - width + width // 2)  # a box may hang over the edge by half
                y = random.randint(-(height // 2), side - height + height // 2)
                mask[max(y, 0) : y + height, max(x, 0) : x + width] = True
        mask |= _brush(random, side, random.randint(brushes))
        if 0 < mask.mean() < 1:
            return mask


def _brush(random: Random, side: int, strokes: int) -> np.ndarray:
    """Zigzag strokes of 4-18 vertices, 12-48 pixels wide, with round joints."""
    picture = Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    mean_length = math.sqrt(2) * side / 8
    for _ in range(strokes):
        vertices = random.randint(4, 18)
        low = 2 * math.pi / 5 - random.uniform(0, 2 * math.pi / 15)
        high = 2 * math.pi / 5 + random.uniform(0, 2 * math.pi / 15)
        turns = [random.uniform(low, high) for _ in range(vertices)]
        angles = [2 * math.pi - turn if index % 2 == 0 else turn for index, turn in enumerate(turns)]
        points = [(random.randint(side), random.randint(side))]
        for angle in angles:
            length = np.clip(random.normal(mean_length, mean_length // 2), 0, 2 * mean_length)
            x, y = points[-1][0] + length * math.cos(angle), points[-1][1] + length * math.sin(angle)
            points.append((int(min(max(x, 0), side)), int(min(max(y, 0), side))))
        width = int(random.uniform(12, 48))
        radius = width // 2
        draw.line(points, fill=1, width=width)
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    mask = np.asarray(picture).astype(bool)
    if random.random_sample() < 0.5:
        mask = mask[::-1]
    if random.random_sample() < 0.5:
        mask = mask[:, ::-1]
    return mask


# ---- ours ----


def share_between(random: Random, side: int, low: float, high: float) -> np.ndarray:
    """Strokes and boxes of LaMa's medium setting, added until between `low` and `high` of the picture is hole."""
    strokes = Strokes(times=(1, 1), max_width=100 * side // 512, max_length=200 * side // 512)
    boxes = Boxes(share=0.3, times=(1, 1), sides=(30 * side // 512, 150 * side // 512))
    mask = np.zeros((side, side), bool)
    while not low <= mask.mean() <= high:
        if mask.mean() > high:
            mask[:] = False
        mask |= lama(random, side, strokes, boxes)
    return mask


def objectlike(random: Random, side: int, min_share: float = 0.02, max_share: float = 0.3) -> np.ndarray:
    """The outline of something that a person might want gone: a lumpy body, limbs that taper, perhaps a head.

    Between `min_share` and `max_share` of the picture; in one piece.
    """
    while True:
        canvas = np.zeros((side, side), np.uint8)
        centre = random.uniform(0.25, 0.75, 2) * side
        radius = random.uniform(0.10, 0.28) * side
        stretch, lean = random.uniform(0.5, 1.0), random.uniform(0, 2 * math.pi)
        cv2.fillPoly(canvas, [_lump(random, centre, radius, stretch, lean)], 1)
        for _ in range(random.randint(2, 7)):
            _limb(random, canvas, centre, radius)
        if random.random_sample() < 0.6:
            angle, size = random.uniform(0, 2 * math.pi), random.uniform(0.3, 0.6) * radius
            head = centre + 0.95 * radius * np.array([math.cos(angle), math.sin(angle)])
            cv2.fillPoly(canvas, [_lump(random, head, size, random.uniform(0.8, 1.0), angle)], 1)
        pieces, labels = cv2.connectedComponents(canvas)
        if pieces > 2:
            canvas = (labels == np.bincount(labels[labels > 0]).argmax()).astype(np.uint8)
        if min_share <= canvas.mean() <= max_share:
            return canvas.astype(bool)


def _lump(random: Random, centre: np.ndarray, radius: float, stretch: float, lean: float) -> np.ndarray:
    """A closed outline, (96, 2) int32: an ellipse whose radius is bent by a few random waves."""
    angle = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    waves = np.arange(2, 7)
    heights, phases = random.uniform(-0.22, 0.22, 5) / np.sqrt(waves), random.uniform(0, 2 * math.pi, 5)
    bent = radius * (1 + (heights[:, None] * np.cos(waves[:, None] * angle + phases[:, None])).sum(axis=0))
    x, y = bent * np.cos(angle), stretch * bent * np.sin(angle)
    turned = np.stack([x * math.cos(lean) - y * math.sin(lean), x * math.sin(lean) + y * math.cos(lean)], axis=1)
    return np.rint(centre + turned).astype(np.int32)


def _limb(random: Random, canvas: np.ndarray, centre: np.ndarray, radius: float) -> None:
    """A curved limb from the body outwards, thinning to its end; drawn into `canvas`."""
    angle, bend = random.uniform(0, 2 * math.pi), random.uniform(-0.9, 0.9)
    length, thick = random.uniform(1.2, 2.4) * radius, random.uniform(0.12, 0.3) * radius
    middle = centre + 0.6 * length * np.array([math.cos(angle), math.sin(angle)])
    end = centre + length * np.array([math.cos(angle + bend), math.sin(angle + bend)])
    for t in np.linspace(0, 1, 64):  # a quadratic Bézier curve
        point = (1 - t) ** 2 * centre + 2 * t * (1 - t) * middle + t**2 * end
        x, y = np.rint(point).astype(int).tolist()
        cv2.circle(canvas, (x, y), max(2, round(thick * (1 - 0.7 * t))), 1, -1)


def _between(random: Random, low: int, high: int) -> int:
    """A whole number in [low, high]."""
    return int(random.randint(low, high + 1))


# ---- every kind by its name ----


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    title: str
    generate: Generator
    sides: tuple[int, ...] = ()
    """Sides in pixels that it is defined for; empty: any."""


def _lama_kind(setting: str, side: int, strokes: Strokes, boxes: Boxes | None) -> Kind:
    return Kind(
        name=f"lama-{setting}-{side}",
        title=f"LaMa's {setting} holes at {side}",
        generate=lambda random, size: lama(random, size, strokes, boxes),
        sides=(side,),
    )


KINDS = {
    kind.name: kind
    for kind in (
        _lama_kind("thin", 256, Strokes(times=(4, 50), max_width=10, max_length=40), None),
        _lama_kind(
            "medium",
            256,
            Strokes(times=(4, 5), max_width=50, max_length=100),
            Boxes(share=0.3, times=(1, 5), sides=(10, 50)),
        ),
        _lama_kind(
            "thick",
            256,
            Strokes(times=(1, 5), max_width=100, max_length=200),
            Boxes(share=0.3, times=(1, 3), sides=(30, 150), margin=10),
        ),
        _lama_kind("thin", 512, Strokes(times=(4, 70), max_width=20, max_length=100), None),
        _lama_kind(
            "medium",
            512,
            Strokes(times=(4, 10), max_width=100, max_length=200),
            Boxes(share=0.3, times=(1, 5), sides=(30, 150)),
        ),
        _lama_kind(
            "thick",
            512,
            Strokes(times=(1, 5), max_width=250, max_length=450),
            Boxes(share=0.3, times=(1, 4), sides=(30, 300), margin=10),
        ),
        Kind(name="mat-large", title="MAT's large free-form holes", generate=lambda r, side: mat(r, side, 5, 3, 9)),
        Kind(name="mat-small", title="MAT's small free-form holes", generate=lambda r, side: mat(r, side, 3, 2, 4)),
        Kind(
            name="share-40-50",
            title="strokes and boxes over 40-50 % of the picture",
            generate=lambda random, side: share_between(random, side, 0.40, 0.50),
        ),
        Kind(name="object", title="object-like shapes", generate=objectlike),
    )
}
"""Every kind of generated hole, by name."""
