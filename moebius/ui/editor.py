"""The brush's side of the page: previews to paint on, masks as tinted layers, strokes back to a full-size mask.

Pure functions. People paint on a small preview because the browser's editor needs a minute for a 24-megapixel photo;
the photo itself stays as it is on the server, and only a mask comes back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from moebius.photo import images
from moebius.photo.raster import Raster

PREVIEW_SIDE = 1536
"""Longest side, in pixels, of the picture that is painted on."""

SHOWN_SIDE = 6000
"""Longest side of the pictures behind the before/after slider; browsers show larger ones badly or not at all."""

TINT = (255, 82, 66, 140)
"""Colour of brush and masks, RGBA. Its alpha is below 255, so that a painted layer never passes for an opaque one."""


def bounded(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height scaled down, never up, so that the longer one is at most `side`; none falls below 1."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def preview(raster: Raster, side: int = PREVIEW_SIDE, profile: bytes | None = None) -> Image.Image:
    """A picture as a browser can show it: RGB, or RGBA where it has transparency, 8 bits, at most `side` long.

    An embedded ICC profile stays (`info["icc_profile"]`) where the colours still are those that it describes.

    Args:
        profile: `Photo.profile`, of an array.
    """
    rgb = images.to_rgb(raster)
    if rgb.dtype == np.uint16:
        rgb = (rgb >> 8).astype(np.uint8)
    alpha = None
    if isinstance(raster, np.ndarray):
        profile = profile if raster.shape[2] > 2 else None
        if raster.shape[2] in (2, 4):
            alpha = Image.fromarray((raster[..., -1] >> 8).astype(np.uint8))
    else:
        if raster.has_transparency_data:
            alpha = raster.convert("RGBA").getchannel("A")
        profile = raster.info.get("icc_profile") if raster.mode in ("RGB", "RGBA", "P") else None
    out = Image.fromarray(rgb)
    size = bounded(out.size, side)
    if size != out.size:
        out = out.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    if alpha is not None:
        out.putalpha(alpha.resize(size, Image.Resampling.BOX))
    if profile:
        out.info["icc_profile"] = profile
    return out


def scale_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) bool to (H, W) bool by nearest neighbour; `size` is width and height, as Pillow has it."""
    if mask.shape == (size[1], size[0]):
        return mask
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)).astype(bool)


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A full-size mask at the preview's size: painted where any pixel under it is, so that no wire is lost."""
    if mask.shape == (size[1], size[0]):
        return mask
    share = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(share) > 1e-6


def tint(mask: np.ndarray) -> Image.Image:
    """A mask (h, w) bool as the RGBA layer that the editor shows over the preview."""
    layer = np.zeros((*mask.shape, 4), np.uint8)
    layer[mask] = TINT
    return Image.fromarray(layer)


def strokes(layers: Sequence[Image.Image] | None) -> np.ndarray | None:
    """What is painted in the editor's layers, (h, w) bool; None where there is no layer.

    A layer counts where its alpha is above 0; an opaque one, as an "L" mask sent through the API arrives, by its
    luma (`images.mask_array`).

    Raises:
        ValueError: the layers differ in size.
    """
    masks = [images.mask_array(layer) for layer in layers or ()]
    if len({mask.shape for mask in masks}) > 1:
        sizes = ", ".join(f"{mask.shape[1]}×{mask.shape[0]}" for mask in masks)
        raise ValueError(f"the mask's layers differ in size: {sizes}; they must all have one size")
    return np.logical_or.reduce(masks) if masks else None


def full_mask(painted: np.ndarray | None, given: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """The mask at the photo's size: what was painted, and every detail of a mask file where nobody painted.

    Args:
        painted: (h, w) bool from the editor at the preview's size; None: the editor showed nothing.
        given: (H, W) bool of a mask file or a sample, which the editor got as its first layer; None: none.
        size: width and height of the photo.

    Returns:
        (H, W) bool. Where the editor still shows `given` as it got it, `given` in full detail; elsewhere the strokes,
        and so at an edge of `given` that a stroke touches: else unpainted lines would stay between the two.
    """
    if painted is None:
        return np.zeros((size[1], size[0]), bool) if given is None else given
    if given is None:
        return scale_mask(painted, size)
    shown = shrink_mask(given, (painted.shape[1], painted.shape[0]))
    added = Image.fromarray((painted & ~shown).astype(np.uint8))
    touched = np.asarray(added.filter(ImageFilter.MaxFilter(3))).astype(bool) & painted
    edited = scale_mask((painted != shown) | touched, size)
    return np.where(edited, scale_mask(painted, size), given)
