"""An object put into a photo: where it stands, its cast shadow, its reflection. Pure functions of arrays.

The light of the photo is not known, so shadows are plausible, not right: soft, darker near the object's foot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eval.compose.objects import OPAQUE

SHARE = (0.02, 0.10)
"""Of the picture that an object covers."""
REFLECTIONS = 0.3
"""Share of the pairs that have a reflection as well."""
MARGIN = 0.04
"""Of the picture's sides that stays free around the object."""


@dataclass(frozen=True)
class Scene:
    """How an object stands in a photo. Lengths are shares of the object's height, places are pixels."""

    left: int
    top: int
    width: int
    height: int
    mirrored: bool
    lean: float
    """How far the shadow's tip lies to the right of its foot."""
    length: float
    """Of the shadow."""
    behind: bool
    """The shadow falls away from the viewer, upwards in the picture."""
    darkness: float
    softness: float
    """Sigma of the shadow's blur."""
    reflection: float
    """Opacity of the reflection at the foot; 0: none."""


def draw(random: np.random.RandomState, size: tuple[int, int], cut_out: np.ndarray) -> Scene:
    """A scene in a photo of size (H, W) for an object (h, w, 4) uint8."""
    height, width = size
    area = random.uniform(*SHARE) * height * width
    opaque = (cut_out[..., 3] >= OPAQUE).mean()
    scale = math.sqrt(area / (opaque * cut_out.shape[0] * cut_out.shape[1]))
    scale = min(scale, *((1 - 4 * MARGIN) * side / own for side, own in zip(size, cut_out.shape[:2], strict=True)))
    h, w = (max(8, round(side * scale)) for side in cut_out.shape[:2])
    free_x, free_y = width - w - 2 * MARGIN * width, height - h - 2 * MARGIN * height
    return Scene(
        left=round(MARGIN * width + random.uniform(0, 1) * free_x),
        top=round(MARGIN * height + random.uniform(0.4, 1) * free_y),  # things stand in the lower part of photos
        width=w,
        height=h,
        mirrored=bool(random.randint(2)),
        lean=random.uniform(0.3, 1.0) * random.choice([-1, 1]),
        length=random.uniform(0.2, 0.5),
        behind=bool(random.randint(2)),
        darkness=random.uniform(0.35, 0.6),
        softness=random.uniform(0.01, 0.03),
        reflection=random.uniform(0.25, 0.45) if random.random_sample() < REFLECTIONS else 0.0,
    )


def compose(truth: np.ndarray, cut_out: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W, 3) uint8 with the object in it, and the object's mask (H, W) bool: every pixel that it covers.

    cut_out: (h, w, 4) uint8, scaled to the scene's size here.
    """
    import cv2

    interpolation = cv2.INTER_AREA if scene.height < cut_out.shape[0] else cv2.INTER_CUBIC
    own = cv2.resize(cut_out, (scene.width, scene.height), interpolation=interpolation)
    if scene.mirrored:
        own = np.ascontiguousarray(own[:, ::-1])
    size = truth.shape[:2]
    alpha = np.zeros(size, np.float32)
    at = np.s_[scene.top : scene.top + scene.height, scene.left : scene.left + scene.width]
    alpha[at] = own[..., 3] / np.float32(255)
    alpha[alpha < OPAQUE / 255] = 0
    photo = truth.astype(np.float32)
    photo *= 1 - scene.darkness * shadow(alpha, scene)[..., None]
    if scene.reflection:
        colours, strength = _reflection(own, scene, size)
        photo += strength[..., None] * (colours - photo)
    layer = np.zeros_like(photo)
    layer[at] = own[..., :3]
    photo += alpha[..., None] * (layer - photo)
    return photo.round().clip(0, 255).astype(np.uint8), alpha > 0


def shadow(alpha: np.ndarray, scene: Scene) -> np.ndarray:
    """Darkness in [0, 1] of the cast shadow of an object (H, W) float32: its outline, sheared and flattened onto the
    ground from its foot, softer and lighter away from it."""
    import cv2

    foot = scene.top + scene.height - 1
    down = -scene.length if not scene.behind else scene.length
    # a point at height a above the foot goes to foot - down * a, and lean * a to the right
    shear = scene.lean * scene.length
    matrix = np.array([[1, -shear, shear * foot], [0, down, foot - down * foot]], np.float32)
    size = (alpha.shape[1], alpha.shape[0])
    cast = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0)
    reach = max(1.0, abs(down) * scene.height)
    away = np.abs(np.arange(alpha.shape[0], dtype=np.float32) - foot) / reach
    faded = (cast * np.clip(1 - 0.6 * away, 0, 1)[:, None]).astype(np.float32)
    return cv2.GaussianBlur(faded, (0, 0), max(0.8, scene.softness * scene.height))


def _reflection(own: np.ndarray, scene: Scene, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) float32 and opacity (H, W) of the mirrored object below its foot, fading with distance."""
    colours, strength = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    foot = scene.top + scene.height
    rows = min(scene.height, size[0] - foot)
    if rows > 0:
        mirrored = own[::-1][:rows].astype(np.float32)
        at = np.s_[foot : foot + rows, scene.left : scene.left + scene.width]
        fade = scene.reflection * np.clip(1 - np.arange(rows, dtype=np.float32) / (0.6 * scene.height), 0, 1)
        colours[at] = mirrored[..., :3]
        strength[at] = mirrored[..., 3] / 255 * fade[:, None]
    return colours, strength
