"""The autoencoder's inference form on a CPU: the same function as diffusers' `AutoencoderKL`, in channels-last.

- Activations lie as (B, H, W, C) in memory, which oneDNN's convolutions want.
- GroupNorm, SiLU and sums work on bands of rows: a new tensor of 64 MB costs more in page faults than its values.
- Nearest ×2 followed by a 3×3 convolution is four products at the low resolution, 4/9 of the work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from moebius.models import fused

_BAND = 2_000_000
"""Values of a feature map that are normalised at once."""


class Residual(nn.Module):
    """(B, in, H, W) -> (B, out, H, W), of a block without time.

    GroupNorm's statistics are of the whole map; it is applied, and the convolution done, in bands of rows, so that no
    normalised copy of the map exists.
    """

    def __init__(self, block: ResnetBlock2D):
        super().__init__()
        self.norm1, self.conv1, self.norm2, self.conv2 = block.norm1, block.conv1, block.norm2, block.conv2
        self.conv_shortcut = block.conv_shortcut

    def forward(self, x: Tensor, temb: None = None) -> Tensor:
        y = convolve_normalised(x, self.norm1, self.conv1)
        out = convolve_normalised(y, self.norm2, self.conv2)
        for rows in bands(x):
            part = x[:, :, rows]
            out[:, :, rows] += part if self.conv_shortcut is None else self.conv_shortcut(part)
        return out


def bands(x: Tensor) -> list[slice]:
    """Rows of (B, C, H, W), about `_BAND` values each."""
    height = x.shape[2]
    step = max(1, _BAND // x[:, :, 0].numel())
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def convolve_normalised(x: Tensor, norm: nn.GroupNorm, conv: nn.Conv2d) -> Tensor:
    """conv(silu(norm(x))), a 3×3 convolution with padding 1: (B, in, H, W) -> (B, out, H, W) in channels-last."""
    b, _, height, width = x.shape
    scale, shift = scale_and_shift(x, norm)
    out = x.new_empty(b, conv.out_channels, height, width).to(memory_format=torch.channels_last)
    for rows in bands(x):
        top, bottom = max(rows.start - 1, 0), min(rows.stop + 1, height)
        part = F.silu(torch.addcmul(shift, x[:, :, top:bottom].float(), scale), inplace=True).to(x.dtype)
        above, below = top - rows.start + 1, rows.stop + 1 - bottom  # rows of zeros outside the map
        part = F.pad(part, (0, 0, above, below)) if above or below else part
        part = part.contiguous(memory_format=torch.channels_last)
        out[:, :, rows] = F.conv2d(part, conv.weight, conv.bias, padding=(0, 1))
    return out


def scale_and_shift(x: Tensor, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
    """GroupNorm of (B, C, H, W) as x · scale + shift, each (B, C, 1, 1) float32."""
    b, channels, height, width = x.shape
    sums = torch.zeros(2, b, channels, dtype=torch.float64, device=x.device)
    for rows in bands(x):
        part = x[:, :, rows].float()
        sums[0] += part.sum(dim=(2, 3))
        sums[1] += part.square_().sum(dim=(2, 3)) if part.dtype != x.dtype else part.square().sum(dim=(2, 3))
    sums = sums.view(2, b, norm.num_groups, -1).sum(dim=3) / (height * width * channels // norm.num_groups)
    mean, square = sums.repeat_interleave(channels // norm.num_groups, dim=2)
    scale = norm.weight / torch.sqrt((square - mean.square()).clamp_min(0) + norm.eps)
    shift = norm.bias - mean * scale
    return scale.float()[..., None, None], shift.float()[..., None, None]


class Doubling(nn.Module):
    """(B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, upsample: Upsample2D):
        super().__init__()
        self.upsampler = fused.Upsampler(upsample.conv)

    def forward(self, x: Tensor, output_size: None = None) -> Tensor:
        return self.upsampler(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)


@torch.no_grad()
def fuse(vae: AutoencoderKL) -> AutoencoderKL:
    """Change `vae` itself into its inference form; it can't be saved any more. ValueError for an unfamiliar block."""
    for parent in list(vae.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ResnetBlock2D):
                if child.time_emb_proj is not None or child.upsample or child.downsample:
                    raise ValueError("an autoencoder's residual block with time or resampling cannot be fused")
                if child.output_scale_factor != 1 or not isinstance(child.nonlinearity, nn.SiLU):
                    raise ValueError("only an autoencoder's residual blocks with SiLU and without scale can be fused")
                setattr(parent, name, Residual(child))
            elif isinstance(child, Upsample2D):
                if child.conv is None or child.norm is not None or child.use_conv_transpose:
                    raise ValueError("only nearest doubling before a 3×3 convolution can be fused")
                setattr(parent, name, Doubling(child))
    return vae.to(memory_format=torch.channels_last)
