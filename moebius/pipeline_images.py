"""What goes into `MoebiusInpaintPipeline` and comes out of it: pictures and masks of every form, and pasting back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageFilter
from torch import Tensor

from moebius.fill import geometry
from moebius.photo import images

Pictures: TypeAlias = Image.Image | np.ndarray | Tensor | Sequence[Image.Image | np.ndarray]


def pictures_of(image: Pictures) -> list[np.ndarray]:
    """Any form of `Pictures` -> a list of (H, W, 3) uint8. Raises ValueError: wrong shape, type or range."""
    if isinstance(image, Tensor):
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"image as a tensor must be (B, 3, H, W) in [0, 1], got shape {tuple(image.shape)}")
        if image.min() < 0 or image.max() > 1:
            raise ValueError(
                f"image as a tensor must be in [0, 1], got [{image.min().item():.3g}, {image.max().item():.3g}]"
            )
        return list((image.float() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    pictures = _listed(image, batch_dimensions=4)
    for picture in pictures:
        if isinstance(picture, np.ndarray) and (
            picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3
        ):
            raise ValueError(f"image as an array must be (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
    return [picture if isinstance(picture, np.ndarray) else images.to_rgb8(picture) for picture in pictures]


def masks_of(mask_image: Pictures) -> list[np.ndarray]:
    """Any form of `Pictures` -> a list of (H, W) bool, True = repaint. Raises ValueError: wrong shape or type."""
    if isinstance(mask_image, Tensor):
        if mask_image.ndim != 4 or mask_image.shape[1] != 1:
            raise ValueError(
                f"mask_image as a tensor must be (B, 1, H, W) in [0, 1], got shape {tuple(mask_image.shape)}"
            )
        return list((mask_image[:, 0] >= 0.5).cpu().numpy())
    return [images.mask_array(mask) for mask in _listed(mask_image, batch_dimensions=3)]


def _listed(pictures: Pictures, batch_dimensions: int) -> list[Any]:
    """Pictures as a list; an array with `batch_dimensions` dimensions is a batch."""
    if isinstance(pictures, list | tuple):
        return list(pictures)
    if isinstance(pictures, np.ndarray) and pictures.ndim == batch_dimensions:
        return list(pictures)
    return [pictures]


def paste_blurred(values: np.ndarray, picture: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """The published paste at the model's size: the mask blurred by a Gaussian of radius 3 blends, values truncated.

    values (H, W, 3) float32 in [0, 255], picture (H, W, 3) uint8, grey (H, W) uint8 -> (H, W, 3) uint8.
    """
    soft = np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(3)))[..., None] / 255.0
    return (values.astype(np.uint8) * soft + picture * (1 - soft)).astype(np.uint8)


def paste_feathered(values: np.ndarray, picture: np.ndarray, mask: np.ndarray, feather_px: int) -> np.ndarray:
    """Result at the model's size, blended into the picture at its own; all else identical. -> (H, W, 3) uint8."""
    if values.shape != picture.shape:
        values = cv2.resize(values, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    canvas = picture.copy()
    geometry.blend(canvas, values, geometry.feather(mask, feather_px))
    return canvas


def as_type(
    pasted: list[np.ndarray], output_type: str, device: torch.device
) -> list[Image.Image] | np.ndarray | Tensor:
    """List of (H, W, 3) uint8 -> "pil", "np" or "pt"."""
    if output_type == "pil":
        return [Image.fromarray(picture) for picture in pasted]
    if len({picture.shape for picture in pasted}) > 1:
        raise ValueError('pictures of different sizes can only be returned with output_type="pil"')
    values = np.stack(pasted).astype(np.float32) / 255.0
    return values if output_type == "np" else VaeImageProcessor.numpy_to_pt(values).to(device)
