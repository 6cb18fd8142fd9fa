"""Small pictures for the report: original with its hole outlined, and the fill, as data URLs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

SIDE = 220
OUTLINE, HALO = (255, 255, 255), (190, 0, 90)
QUALITY = 85


def thumbnail(rgb: np.ndarray, mask: np.ndarray | None = None) -> str:
    """(H, W, 3) uint8, its hole (H, W) bool outlined where given -> a JPEG data URL."""
    picture = Image.fromarray(rgb)
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    if mask is not None:
        hole = np.asarray(Image.fromarray(mask).convert("L").resize(size, Image.Resampling.BOX)) >= 128
        line = edge(hole)
        small[wider(line)] = HALO  # light on dark, so that it is seen on any picture
        small[line] = OUTLINE
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def wider(line: np.ndarray) -> np.ndarray:
    """(H, W) bool and its neighbours above, below, left and right."""
    framed = np.pad(line, 1)
    return line | framed[:-2, 1:-1] | framed[2:, 1:-1] | framed[1:-1, :-2] | framed[1:-1, 2:]


def edge(hole: np.ndarray) -> np.ndarray:
    """Pixels of a hole (H, W) bool that have a neighbour outside it, the picture's border not counted."""
    framed = np.pad(hole, 1, mode="edge")
    inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return hole & ~inner
