"""A ComfyUI node: image and mask in, image without what the mask covers out.

ComfyUI's pictures are float tensors (B, H, W, C) in [0, 1], its masks (B, H, W) or (H, W), 1 = repaint.
"""

from __future__ import annotations

import numpy as np
import torch

import moebius
from moebius import registry

DEPTH = 65535
"""The library is given 16 bits a channel, so that a fill is as fine as the floats around it."""


class MoebiusInpaint:
    CATEGORY = "inpaint"
    FUNCTION = "remove"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    DESCRIPTION = "Repaints what the mask covers; every other pixel stays exactly as it is."

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "image": ("IMAGE",),
                "mask": ("MASK",),
                "model": ([registry.AUTO, *registry.MODELS], {"default": registry.AUTO}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**63 - 1}),
            }
        }

    def remove(self, image: torch.Tensor, mask: torch.Tensor, model: str, seed: int) -> tuple[torch.Tensor]:
        """One fill for each picture; a single mask counts for all of them.

        Raises:
            ValueError: the sizes or numbers of pictures and masks do not fit, or the model cannot run here.
        """
        masks = mask[None] if mask.ndim == 2 else mask
        if image.ndim != 4 or image.shape[-1] not in (3, 4):
            raise ValueError(f"image must be (B, H, W, 3 or 4), got {tuple(image.shape)}")
        if masks.ndim != 3 or masks.shape[1:] != image.shape[1:3] or len(masks) not in (1, len(image)):
            raise ValueError(
                f"mask must be (H, W) or (B, H, W) of the image's {tuple(image.shape[:3])}, got {tuple(mask.shape)}"
            )
        filled = [
            _fill(picture, painted, model, seed)
            for picture, painted in zip(image, masks.expand(len(image), -1, -1), strict=True)
        ]
        return (torch.stack(filled),)


def _fill(picture: torch.Tensor, mask: torch.Tensor, model: str, seed: int) -> torch.Tensor:
    """One picture, (H, W, C); what the fill left alone keeps its very floats."""
    pixels = np.round(picture.cpu().double().clamp(0, 1).numpy() * DEPTH).astype(np.uint16)
    fill = moebius.inpaint(np.ascontiguousarray(pixels), mask.cpu().numpy() >= 0.5, model, seed=seed)
    changed = torch.from_numpy(fill.changed)[..., None].to(picture.device)
    painted = torch.from_numpy(fill.raster.astype(np.float32) / DEPTH).to(picture)
    return torch.where(changed, painted, picture)


NODE_CLASS_MAPPINGS = {"MoebiusInpaint": MoebiusInpaint}
NODE_DISPLAY_NAME_MAPPINGS = {"MoebiusInpaint": "Moebius: remove"}
