"""PSNR and SSIM, by torchmetrics, over the picture and inside the hole; and what a picture must be to be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def checked(rgb: np.ndarray, name: str) -> np.ndarray:
    """The picture itself. Raises ValueError unless it is (H, W, 3) uint8, which is what every metric is given.

    Metrics guess ranges from types, and guess wrong: a float picture in [0, 255] is scored without a word.
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        got = f"{rgb.shape} {rgb.dtype}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f"{name} must be (H, W, 3) uint8, got {got}")
    return rgb


def to_bytes(pictures: list[np.ndarray], name: str = "picture") -> Tensor:
    """Pictures (H, W, 3) uint8 of one size -> (B, 3, H, W) uint8."""
    import torch

    sizes = {checked(picture, name).shape for picture in pictures}
    if len(sizes) != 1:
        raise ValueError(f"pictures of one batch must have one size, got {sorted(sizes)}")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def psnr(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Peak signal-to-noise ratio in dB over the picture and over the hole; infinite where nothing differs.

    fill and truth (H, W, 3) uint8, mask (H, W) bool, True = hole.
    """
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _same_shape(fill, truth, mask)
    pairs = [(fill, truth), (fill[mask], truth[mask])]
    values = [
        peak_signal_noise_ratio(torch.from_numpy(a.astype(np.float64)), torch.from_numpy(b.astype(np.float64)), 255.0)
        for a, b in pairs
    ]
    return float(values[0]), float(values[1])


def ssim(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Structural similarity (Wang 2004: Gaussian window of sigma 1.5, three channels) over picture and hole.

    The hole's value is the mean of the picture's SSIM map over the hole, so that windows at its edge see known pixels.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _same_shape(fill, truth, mask)
    if min(mask.shape) < 11:
        raise ValueError(f"SSIM needs pictures of at least 11×11 pixels, got {mask.shape[1]}×{mask.shape[0]}")
    a, b = to_bytes([fill]).float() / 255, to_bytes([truth]).float() / 255
    whole, full = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    inside = full[0].mean(dim=0).numpy()[mask]
    return float(whole), float(inside.mean())


def _same_shape(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> None:
    checked(fill, "fill"), checked(truth, "truth")
    if fill.shape != truth.shape or mask.shape != truth.shape[:2] or mask.dtype != bool:
        raise ValueError(f"fill {fill.shape}, truth {truth.shape} and mask {mask.shape} {mask.dtype} do not fit")
    if not mask.any():
        raise ValueError("the mask is empty, so there is nothing to score inside the hole")
