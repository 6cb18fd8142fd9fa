"""Token grids of a picture: by DINOv2 giant, which RC-S was published with, or by EfficientNet-Lite2, offline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.metrics import backbones
from eval.metrics.names import DINOV2

SIDE = 448
"""Pixels of the longer side that a square is scaled to."""
PADDING = (123, 116, 103)
"""RGB right of and below a square whose sides are no multiples of a token's."""


class Tokens(ABC):
    """A picture (H, W, 3) uint8 -> tokens (h, w, C) float32 on the CPU.

    The picture is scaled bilinearly so that its longer side is `SIDE`, then padded right and below to multiples of
    `cell_px`; h and w count the cells of what came out.
    """

    cell_px: int
    """Side of the pixels that one token stands for."""

    def __call__(self, picture: np.ndarray) -> Tensor:
        import cv2

        height, width = scaled_size(picture.shape[:2])
        scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        below, right = -height % self.cell_px, -width % self.cell_px
        padded = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_CONSTANT, value=PADDING)
        with torch.inference_mode():
            tokens = self.of(torch.from_numpy(padded).permute(2, 0, 1)[None])
        return tokens.permute(1, 2, 0).float().cpu()

    @abstractmethod
    def of(self, picture: Tensor) -> Tensor:
        """(1, 3, H, W) uint8, sides multiples of `cell_px` -> (C, h, w)."""


def scaled_size(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) after scaling the longer side to `SIDE`, rounded down."""
    scale = SIDE / max(size)
    return int(size[0] * scale), int(size[1] * scale)


class Dinov2Tokens(Tokens):
    """Patch tokens of a DINOv2 from a folder in transformers' format, after its last normalisation.

    Raises:
        BackboneError: there is no such model in the folder.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from eval.metrics.features import dinov2

        self.network = dinov2(folder, "giant").to(device)
        self.cell_px, self.device = self.network.config.patch_size, device

    def of(self, picture: Tensor) -> Tensor:
        from eval.metrics.features import imagenet_normalised

        scaled = imagenet_normalised(picture.to(self.device).float())
        tokens = self.network(pixel_values=scaled).last_hidden_state[0, 1:]  # without the class token: (h·w, C)
        height, width = (side // self.cell_px for side in picture.shape[-2:])
        return tokens.T.reshape(-1, height, width)


class EffNetLite2Tokens(Tokens):
    """Activations of EfficientNet-Lite2 at stride 16, after the last block of that stride: 120 channels."""

    cell_px = 16

    def __init__(self, device: str = "cpu") -> None:
        from eval.metrics.features import efficientnet_lite

        self.network, self.device = efficientnet_lite(2).to(device), device
        strides = [block._depthwise_conv.stride for block in self.network._blocks]
        halvings = [index for index, stride in enumerate(strides) if _first(stride) == 2]
        self.count = halvings[3]  # the stem halves once; the fourth halving of the blocks goes to stride 32
        self.dims = self.network._blocks[self.count - 1]._project_conv.out_channels

    def of(self, picture: Tensor) -> Tensor:
        from eval.metrics.features import normalised

        network = self.network
        x = normalised(picture.to(self.device).float())
        x = network._swish(network._bn0(network._conv_stem(x)))
        for block in network._blocks[: self.count]:
            x = block(x)
        return x[0]


def _first(value: int | tuple[int, ...] | list[int]) -> int:
    return value if isinstance(value, int) else value[0]


def make(kind: str, folder: Path | None, device: str) -> Tokens:
    """The network of one of `names.REMOVAL`; `folder` holds DINOv2's weights.

    Raises:
        BackboneError: it is not on this computer.
    """
    if kind != DINOV2:
        return EffNetLite2Tokens(device)
    if folder is None:
        raise backbones.BackboneError("--removal dinov2-giant needs --dinov2 DIR with facebook/dinov2-giant")
    return Dinov2Tokens(folder, device)


def nearest_mask(hole: np.ndarray, cell_px: int) -> Tensor:
    """Which tokens of `Tokens` see the hole (H, W) bool: (h, w) bool. Nearest scaling, zero padding, maximum."""
    import cv2

    height, width = scaled_size(hole.shape)
    scaled = cv2.resize(hole.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    padded = np.pad(scaled, ((0, -height % cell_px), (0, -width % cell_px)))
    values = torch.from_numpy(padded).float()[None, None]
    return F.max_pool2d(values, cell_px)[0, 0] > 0
