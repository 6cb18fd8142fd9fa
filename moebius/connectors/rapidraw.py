"""RapidRAW's own protocol for a generator on one's own computer: its connector's requests and answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import Request
from PIL import Image
from starlette.datastructures import UploadFile

from moebius import registry
from moebius.config import SamplingConfig
from moebius.connectors import bodies
from moebius.connectors.fills import Filled, Fills, grey
from moebius.connectors.sources import Key, Sources
from moebius.photo import images
from moebius.photo.photo_file import Photo
from moebius.photo.raster import bounding_box
from moebius.ui import photo_files
from moebius.ui.handlers import Stoppable

PAD_PX = 16
"""Around the mask, in the patch that is sent back."""
MAX_ID = 512


class RapidRaw:
    """The requests of RapidRAW's self-hosted connector."""

    def __init__(self, fills: Fills, sources: Sources) -> None:
        self._fills, self._sources = fills, sources

    async def health(self, request: Request) -> dict[str, Any]:
        """Whether this server can be used."""
        return {"status": "ok", "connected": True}

    async def upload(self, request: Request) -> dict[str, Any]:
        """Keep a photo under the name that the caller gives it."""
        async with request.form(max_files=1, max_fields=8, max_part_size=2**16) as form:
            file, name = form.get("file"), form.get("source_id")
            if not isinstance(file, UploadFile) or not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
                raise ValueError(f"give the photo as file, and source_id, a text of 1 to {MAX_ID} characters")
            data = await file.read()
        self._sources.add(_key(request, name), bodies.checked("the photo", data))
        return {"status": "cached", "source_id": name, "bytes": len(data)}

    async def inpaint(self, request: Request) -> dict[str, Any]:
        """The patch that shows a source without what its mask covers."""
        with self._fills.place():
            content = await bodies.read_json(request)
            source = self._sources.get(_key(request, bodies.text(content, "source_id")))
            mask = bodies.picture(content, "mask_image_base64")
            config = SamplingConfig(prompt=bodies.text(content, "prompt", "").strip() or None)
            seed = bodies.whole(content, "seed", 0) or None  # 0: by chance, as RapidRAW has it

            def work(report: Stoppable) -> dict[str, Any]:
                soft: list[np.ndarray] = []

                def mask_of(photo: Photo) -> np.ndarray:
                    soft.append(_fitted(grey(photo_files.open_photo(mask, "the mask").raster), photo.size))
                    return soft[0] > 0

                filled = self._fills.fill(source, mask_of, model=registry.AUTO, seed=seed, config=config, report=report)
                return patch(filled, soft[0])

            return await self._fills.run(request, work)


def patch(filled: Filled, soft: np.ndarray) -> dict[str, Any]:
    """The filled photo and its mask around the mask; of an empty one a single transparent pixel.

    Args:
        soft: (H, W) uint8, the mask with its soft edges.
    """
    if not filled.mask.any():
        nothing = np.zeros((1, 1, 4), np.uint8)
        return _packed(nothing, nothing[..., 0], 0, 0)
    left, top, right, bottom = bounding_box(filled.mask)
    height, width = soft.shape
    left, top, right, bottom = (
        max(0, left - PAD_PX),
        max(0, top - PAD_PX),
        min(width, right + PAD_PX),
        min(height, bottom + PAD_PX),
    )
    raster = filled.fill.raster
    piece = (
        raster[top:bottom, left:right] if isinstance(raster, np.ndarray) else raster.crop((left, top, right, bottom))
    )
    rgb, alpha = images.to_rgb8(piece), images.opacity(piece)
    opaque = np.full(rgb.shape[:2], 255, np.uint8) if alpha is None else alpha
    return _packed(np.dstack([rgb, opaque]), soft[top:bottom, left:right], left, top)


def _packed(colour: np.ndarray, mask: np.ndarray, x: int, y: int) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "width": colour.shape[1],
        "height": colour.shape[0],
        "color": _png(colour),
        "mask": _png(mask),
    }


def _png(pixels: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
    return base64.b64encode(out.getvalue()).decode()


def _fitted(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at the photo's size, by nearest neighbour: RapidRAW may send a smaller one."""
    if mask.shape == (size[1], size[0]):
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _key(request: Request, name: str) -> Key:
    return (request.client.host if request.client else "", name)


def routes(fills: Fills, sources: Sources) -> dict[tuple[str, str], Callable]:
    own = RapidRaw(fills, sources)
    return {
        ("GET", "/health"): own.health,
        ("POST", "/upload_source"): own.upload,
        ("POST", "/inpaint"): own.inpaint,
    }
