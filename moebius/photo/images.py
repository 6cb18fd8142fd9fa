"""Pictures to arrays and tensors and back, and masks: the only file that knows value ranges."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from moebius.photo.raster import bounding_box

if TYPE_CHECKING:
    import torch

    from moebius.photo.raster import Raster

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16L", "I;16B")
"""Pillow modes a picture may have. 16-bit colour, for which Pillow has no mode, is an array
(H, W, 2 | 3 | 4) uint16: grey and alpha, RGB, RGB and alpha."""

_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601 in 1/65536: grey stays exactly what it was


# ---- pictures ----


def to_rgb(raster: Raster) -> np.ndarray:
    """The colours of a picture, alpha left aside: (H, W, 3) uint8, or uint16 where the picture has 16 bits; a copy.

    CMYK goes through the embedded ICC profile (`info["icc_profile"]`) to sRGB where there is one.

    Raises:
        ValueError: the mode is not in `MODES`, or the array is none of (H, W, 2 | 3 | 4) uint16.
    """
    if isinstance(raster, np.ndarray):
        _check_array(raster)
        colours = raster[..., :3] if raster.shape[2] > 2 else raster[..., :1].repeat(3, axis=2)
        return np.array(colours, order="C")
    mode = raster.mode
    if mode not in MODES:
        raise ValueError(
            f"pictures of mode {mode!r} are not supported, only {', '.join(MODES)} and arrays "
            "(H, W, 2 | 3 | 4) uint16; convert it to RGB first"
        )
    if mode in ("RGB", "RGBA"):
        return np.asarray(raster)[..., :3].copy()
    if mode == "1":
        return np.asarray(raster)[..., None].repeat(3, axis=2).astype(np.uint8) * 255
    if mode == "P":
        return _palette(raster)[0][np.asarray(raster)]
    if mode == "CMYK":
        return _cmyk_to_rgb(np.asarray(raster), raster.info.get("icc_profile"))
    grey = np.asarray(raster)
    if mode == "LA":
        grey = grey[..., 0]
    if mode.startswith("I;16"):
        grey = grey.astype(np.uint16)  # native byte order
    return grey[..., None].repeat(3, axis=2)


def to_rgb8(raster: Raster) -> np.ndarray:
    """`to_rgb`, with 16 bits rounded to 8: (H, W, 3) uint8."""
    rgb = to_rgb(raster)
    return rgb if rgb.dtype == np.uint8 else ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)


def put_back(raster: Raster, rgb: np.ndarray, changed: np.ndarray) -> Raster:
    """A copy of `raster` that has the colours `rgb` where `changed`; everything else is bit-identical.

    Alpha is kept everywhere. In a palette picture a changed pixel takes the nearest colour among the palette
    entries of the same opacity, in a 1-bit picture black or white.

    Args:
        raster: as for `to_rgb`.
        rgb: (H, W, 3), uint8 or uint16 like `to_rgb(raster)`.
        changed: (H, W) bool.
    """
    if isinstance(raster, np.ndarray):
        _check_array(raster)
        out, new = raster.copy(), rgb[changed]
        if raster.shape[2] == 2:
            out[changed, 0] = _luma(new)
        else:
            out[changed, :3] = new
        return out
    picture = raster.copy()
    if changed.any():  # only the window around the changes is taken apart, which is quick in a large photo
        box = bounding_box(changed)
        window = slice(box[1], box[3]), slice(box[0], box[2])
        picture.paste(_with_colours(raster.crop(box), rgb[window], changed[window]), box)
    return picture


def _with_colours(raster: Image.Image, rgb: np.ndarray, changed: np.ndarray) -> Image.Image:
    """`put_back` for a Pillow image, all of which is looked at."""
    new = rgb[changed]  # (N, 3)
    mode = raster.mode
    pixels = np.array(raster)
    if mode in ("RGB", "RGBA"):
        pixels[changed, :3] = new
    elif mode == "1":
        pixels[changed] = _luma(new) >= 128
    elif mode == "P":
        pixels[changed] = _nearest_entries(raster, new, pixels[changed])
    elif mode == "CMYK":
        pixels[changed] = _rgb_to_cmyk(new, raster.info.get("icc_profile"))
    elif mode == "LA":
        pixels[changed, 0] = _luma(new)
    elif mode in MODES:
        pixels[changed] = _luma(new)
    else:
        raise ValueError(f"pictures of mode {mode!r} are not supported, only {', '.join(MODES)}")
    return _like(raster, pixels)


def to_8bit(array: np.ndarray) -> Image.Image:
    """A 16-bit picture (H, W, 2 | 3 | 4) as an LA, RGB or RGBA picture, rounded."""
    return Image.fromarray(((array.astype(np.uint32) + 128) // 257).astype(np.uint8))


def preview(raster: Raster, side: int = 1024) -> Image.Image:
    """A small RGB picture of a large one, alpha left aside; for thumbnails, so leaving out pixels will do."""
    width, height = raster.size if isinstance(raster, Image.Image) else raster.shape[1::-1]
    step = max(1, max(width, height) // side)
    if isinstance(raster, np.ndarray):
        raster, step = to_8bit(raster[::step, ::step]), 1
    elif step > 1 and raster.mode in ("L", "RGB", "RGBA", "CMYK"):
        raster, step = raster.reduce(step), 1
    rgb = to_rgb(raster)[::step, ::step]
    return Image.fromarray(np.ascontiguousarray(rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)))


def _check_array(array: np.ndarray) -> None:
    if array.dtype != np.uint16 or array.ndim != 3 or array.shape[2] not in (2, 3, 4):
        raise ValueError(
            f"a picture given as an array must be (H, W, 2 | 3 | 4) uint16, got {array.shape} {array.dtype}; "
            "make an 8-bit one a Pillow image (Image.fromarray)"
        )


def _luma(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) -> (N,), ITU-R 601 luma, rounded, of the same type."""
    return ((rgb.astype(np.uint32) @ _LUMA + 0x8000) >> 16).astype(rgb.dtype)


def _like(raster: Image.Image, pixels: np.ndarray) -> Image.Image:
    """Pixels as a picture with the mode, palette and info of `raster`."""
    out = raster.copy()
    if raster.mode == "1":
        pixels = np.packbits(pixels, axis=1)
    elif raster.mode.startswith("I;16"):
        pixels = pixels.astype(">u2" if raster.mode == "I;16B" else "<u2")
    out.frombytes(pixels.tobytes())
    return out


def _palette(raster: Image.Image) -> tuple[np.ndarray, np.ndarray, int]:
    """Palette of a P picture: colours (256, 3) uint8, alpha (256,) uint8, and how many entries it has."""
    entries = raster.getpalette("RGBA") or []
    count = len(entries) // 4
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = 255
    table[:count] = np.array(entries, np.uint8).reshape(-1, 4)
    colours, alpha = table[:, :3], table[:, 3]
    transparency = raster.info.get("transparency")
    if isinstance(transparency, bytes):
        alpha[: len(transparency)] = np.frombuffer(transparency, np.uint8)[:256]
    elif isinstance(transparency, int):
        alpha[transparency] = 0
    return colours, alpha, count


def _nearest_entries(raster: Image.Image, rgb: np.ndarray, old: np.ndarray) -> np.ndarray:
    """For each new colour (N, 3) the nearest palette index among entries as opaque as the old index (N,)."""
    colours, alpha, count = _palette(raster)
    out = old.copy()
    for opacity in np.unique(alpha[old]):
        here = np.flatnonzero(alpha[old] == opacity)
        entries = np.flatnonzero(alpha[: max(count, int(old.max()) + 1)] == opacity)
        table = colours[entries].astype(np.float32)
        lengths = (table**2).sum(axis=1)
        for some in np.array_split(here, -(-len(here) // 65536)):
            # |c - t|^2 without |c|^2; all sums are below 2^24, so float32 is exact
            out[some] = entries[np.argmin(lengths - 2 * rgb[some].astype(np.float32) @ table.T, axis=1)]
    return out


# ---- CMYK ----


def _transform(profile: bytes, mode_in: str, mode_out: str) -> ImageCms.ImageCmsTransform | None:
    """A colour transform between the embedded profile and sRGB; None where the profile is of no use."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        first, second = (embedded, srgb) if mode_in == "CMYK" else (srgb, embedded)
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.buildTransform(first, second, mode_in, mode_out, intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _cmyk_to_rgb(cmyk: np.ndarray, profile: bytes | None) -> np.ndarray:
    picture = Image.frombytes("CMYK", cmyk.shape[1::-1], np.ascontiguousarray(cmyk).tobytes())
    transform = _transform(profile, "CMYK", "RGB") if profile else None
    return np.array(ImageCms.applyTransform(picture, transform) if transform else picture.convert("RGB"))


def _rgb_to_cmyk(rgb: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(N, 3) uint8 -> (N, 4). Without a profile: no black, which Pillow's CMYK to RGB inverts exactly."""
    picture = Image.fromarray(np.ascontiguousarray(rgb[None]))
    transform = _transform(profile, "RGB", "CMYK") if profile else None
    return np.array(ImageCms.applyTransform(picture, transform) if transform else picture.convert("CMYK"))[0]


# ---- masks ----


def mask_array(mask_image: Image.Image | np.ndarray) -> np.ndarray:
    """What to repaint, (H, W) bool: white, or grey of at least half.

    In a picture with transparency the painted pixels count whatever their colour (colours under alpha 0 are
    arbitrary); one that is opaque everywhere is read by its luma.

    Args:
        mask_image: a Pillow image of any mode of `MODES`, or an array (H, W) bool, uint8 or uint16.

    Raises:
        ValueError: another mode, shape or type.
    """
    if isinstance(mask_image, np.ndarray):
        if mask_image.ndim != 2 or mask_image.dtype not in (bool, np.uint8, np.uint16):
            raise ValueError(
                f"a mask given as an array must be (H, W) bool, uint8 or uint16, "
                f"got {mask_image.shape} {mask_image.dtype}"
            )
        if mask_image.dtype == bool:
            return mask_image
        return mask_image >= (np.iinfo(mask_image.dtype).max + 1) // 2
    if (alpha := opacity(mask_image)) is not None and (alpha < 255).any():
        return alpha > 0
    if mask_image.mode in ("1", "L"):  # what most masks are; of 12 megapixels the way below takes a quarter of a second
        return np.asarray(mask_image.convert("L")) >= 128
    rgb = to_rgb(mask_image)
    return _luma(rgb) >= (np.iinfo(rgb.dtype).max + 1) // 2


def check_mask(mask: np.ndarray, size: tuple[int, int]) -> None:
    """Refuse a mask that does not fit a picture of `size` (H, W) or leaves nothing of it.

    Raises:
        ValueError: sizes differ; everything is masked.
    """
    if mask.shape != tuple(size):
        (mask_height, mask_width), (height, width) = mask.shape, size
        raise ValueError(
            f"the mask is {mask_width}×{mask_height} pixels but the photo is {width}×{height} (as shown); "
            "make a mask of the photo's size"
        )
    if mask.all():
        raise ValueError(
            "the mask covers the whole photo, so nothing is left to fill it from; "
            "paint only what is to go (white = repaint; perhaps the mask is inverted)"
        )


def opacity(image: Raster) -> np.ndarray | None:
    """Opacity (H, W) uint8, None where the picture has none."""
    if isinstance(image, np.ndarray):
        return (image[..., -1] >> 8).astype(np.uint8) if image.shape[2] in (2, 4) else None
    if image.mode in ("LA", "RGBA"):
        return np.asarray(image)[..., -1]
    if image.mode == "P":
        return _palette(image)[1][np.asarray(image)]
    return None


# ---- tensors ----


def rgb_to_tensor(rgb: np.ndarray) -> torch.Tensor:
    """(H, W, 3) or (B, H, W, 3) uint8 -> (B, 3, H, W) float32 in [-1, 1]."""
    import torch

    batch = rgb if rgb.ndim == 4 else rgb[None]
    # contiguous, because torch's GroupNorm on a CPU loses two digits on a channels-last float32 tensor of this size
    planes = torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).contiguous()
    return planes.float() / 127.5 - 1.0


def tensor_to_rgb(tensor: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) float in [-1, 1], clamped -> (B, H, W, 3) uint8, rounded."""
    scaled = ((tensor.detach().float().clamp(-1, 1) + 1) * 127.5).round()
    return scaled.permute(0, 2, 3, 1).byte().cpu().numpy()
