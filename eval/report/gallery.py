"""Small pictures for reports and sheets: original with its hole outlined, and the fill."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

SIDE = 220
OUTLINE, HALO = (255, 255, 255), (190, 0, 90)
QUALITY = 85


def small(rgb: np.ndarray, mask: np.ndarray | None = None, side: int = SIDE) -> np.ndarray:
    """(H, W, 3) uint8, its hole (H, W) bool outlined where given -> the same with a longer side of `side` pixels."""
    picture = Image.fromarray(rgb)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    found = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    if mask is not None:
        hole = np.asarray(Image.fromarray(mask).convert("L").resize(size, Image.Resampling.BOX)) >= 128
        line = edge(hole)
        found[wider(line)] = HALO  # light on dark, so that it is seen on any picture
        found[line] = OUTLINE
    return found


def thumbnail(rgb: np.ndarray, mask: np.ndarray | None = None) -> str:
    """`small` as a JPEG data URL."""
    buffer = io.BytesIO()
    Image.fromarray(small(rgb, mask)).save(buffer, "JPEG", quality=QUALITY)
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
