"""What a fill changed in a photo, kept without loss: to take some of it back, or to hand it out as a layer."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moebius.files import write_atomic
from moebius.fill import geometry
from moebius.photo import images
from moebius.photo.raster import Raster, bounding_box, shape_of


@dataclass(frozen=True)
class Changes:
    """The part of a filled photo in which something changed."""

    size: tuple[int, int]
    """Width and height of the photo."""
    corner: tuple[int, int]
    """Left and top of the part."""
    rgb: np.ndarray
    """(h, w, 3) uint8 or uint16, the filled photo's colours."""
    changed: np.ndarray
    """(h, w) bool; elsewhere the photo is as it was."""

    @classmethod
    def of(cls, filled: Raster, changed: np.ndarray) -> Changes:
        """`changed`: (H, W) bool, of the filled photo's size. Raises ValueError where nothing is changed."""
        box = left, top, right, bottom = bounding_box(changed)
        part = filled[top:bottom, left:right] if isinstance(filled, np.ndarray) else filled.crop(box)
        height, width = shape_of(filled)
        return cls((width, height), (left, top), images.to_rgb(part), changed[top:bottom, left:right].copy())

    @property
    def window(self) -> tuple[slice, slice]:
        """The part's rows and columns."""
        (left, top), (height, width) = self.corner, self.changed.shape
        return slice(top, top + height), slice(left, left + width)

    def save(self, path: Path) -> None:
        out = io.BytesIO()
        np.savez(out, size=self.size, corner=self.corner, rgb=self.rgb, changed=self.changed)
        write_atomic(path, out.getvalue())

    @classmethod
    def load(cls, path: Path) -> Changes:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            left, top = file["corner"].tolist()
            width, height = file["size"].tolist()
            return cls((width, height), (left, top), file["rgb"], file["changed"])

    def on(self, photo: Raster, restored: np.ndarray, feather_px: int) -> tuple[Raster, np.ndarray]:
        """The filled photo with the original where it was `restored`.

        Args:
            photo: as it was before the fill.
            restored: (H, W) bool: there every pixel is the photo's own.
            feather_px: width in pixels of the blend around it.

        Returns:
            The picture, and the pixels that may still differ from the photo, (H, W) bool.

        Raises:
            ValueError: the photo or `restored` has another size.
        """
        for shape in (shape_of(photo), restored.shape):
            if shape != self.size[::-1]:
                height, width = shape
                raise ValueError(
                    f"the fill is of a photo of {self.size[0]}×{self.size[1]} pixels, not {width}×{height}"
                )
        original = geometry.feather(restored, feather_px)[self.window]
        rgb, changed = images.to_rgb(photo), np.zeros(restored.shape, bool)
        part, filled = rgb[self.window], self.rgb.copy()
        top_value = np.iinfo(rgb.dtype).max
        geometry.blend(filled, part.astype(np.float32) * (255.0 / top_value), original)
        left = self.changed & (original < 1)
        part[left] = filled[left]
        changed[self.window] = left
        return images.put_back(photo, rgb, changed), changed

    def layer(self) -> np.ndarray:
        """The part as (h, w, 4) uint8 or uint16: opaque where something changed, transparent black elsewhere."""
        alpha = np.where(self.changed, np.iinfo(self.rgb.dtype).max, 0).astype(self.rgb.dtype)
        return np.dstack([np.where(self.changed[..., None], self.rgb, 0).astype(self.rgb.dtype), alpha])
