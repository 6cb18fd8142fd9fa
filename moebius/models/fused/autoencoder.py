"""The autoencoder fused for inference on a CPU: the same function as diffusers' `AutoencoderKL`, in channels-last.

- Activations lie as (B, H, W, C) in memory, which oneDNN's convolutions want.
- GroupNorm, SiLU and sums work on bands of rows: a new tensor of 64 MB costs more in page faults than its values.
- Sums are written into their first term, and no map outlives the layer that reads it.
- Nearest ×2 followed by a 3×3 convolution is four products at the low resolution, 4/9 of the work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import Decoder, Encoder
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UNetMidBlock2D, UpDecoderBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from moebius.models.fused.blocks import Upsampler

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

    def forward(self, x: Tensor) -> Tensor:
        """The result is written into x where it has room."""
        y = convolve_normalised(x, self.norm1, self.conv1)
        if self.conv_shortcut is None:
            out = x
        else:
            out = x[:, : y.shape[1]] if y.shape[1] <= x.shape[1] else torch.empty_like(y)
            for rows in bands(x):
                out[:, :, rows] = self.conv_shortcut(x[:, :, rows])
        return convolve_normalised(y, self.norm2, self.conv2, into=out)


def bands(x: Tensor) -> list[slice]:
    """Rows of (B, C, H, W), about `_BAND` values each."""
    height = x.shape[2]
    step = max(1, _BAND // x[:, :, 0].numel())
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def convolve_normalised(x: Tensor, norm: nn.GroupNorm, conv: nn.Conv2d, into: Tensor | None = None) -> Tensor:
    """conv(silu(norm(x))), a 3×3 convolution with padding 1: (B, in, H, W) -> (B, out, H, W) in channels-last; added to
    `into` where that is given."""
    b, _, height, width = x.shape
    scale, shift = scale_and_shift(x, norm)
    out = into
    if into is None:
        shape = (b, conv.out_channels, height, width)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for rows in bands(x):
        top, bottom = max(rows.start - 1, 0), min(rows.stop + 1, height)
        part = F.silu(torch.addcmul(shift, x[:, :, top:bottom].float(), scale), inplace=True).to(x.dtype)
        above, below = top - rows.start + 1, rows.stop + 1 - bottom  # rows of zeros outside the map
        part = F.pad(part, (0, 0, above, below)) if above or below else part
        part = part.contiguous(memory_format=torch.channels_last)
        part = F.conv2d(part, conv.weight, conv.bias, padding=(0, 1))
        if into is None:
            out[:, :, rows] = part
        else:
            out[:, :, rows] += part
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
        self.upsampler = Upsampler(upsample.conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)


class Coder(nn.Module):
    """The encoder (B, 3, H, W) -> (B, 8, h, w) or the decoder (B, 4, h, w) -> (B, 3, H, W) as one row of layers: each
    map is freed when the next one is there, where diffusers' nested blocks keep those of their callers."""

    def __init__(self, coder: Encoder | Decoder):
        super().__init__()
        if isinstance(coder, Encoder):
            blocks = [*coder.down_blocks, coder.mid_block]
        else:
            blocks = [coder.mid_block, *coder.up_blocks]
        self.layers = nn.ModuleList([coder.conv_in])
        for block in blocks:
            self.layers.extend(_layers(block))
        self.norm_out, self.conv_out = coder.conv_norm_out, coder.conv_out

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return convolve_normalised(x, self.norm_out, self.conv_out)


def _layers(block: nn.Module) -> list[nn.Module]:
    """The layers of a block in the order in which it calls them. ValueError for an unfamiliar block."""
    if isinstance(block, UNetMidBlock2D):
        first, *rest = block.resnets
        layers = [_residual(first)]
        for attention, resnet in zip(block.attentions, rest, strict=True):
            layers += [attention] if attention is not None else []
            layers.append(_residual(resnet))
        return layers
    if isinstance(block, DownEncoderBlock2D):
        return [*map(_residual, block.resnets), *(block.downsamplers or [])]
    if isinstance(block, UpDecoderBlock2D):
        return [*map(_residual, block.resnets), *map(_doubling, block.upsamplers or [])]
    raise ValueError(f"an autoencoder's {type(block).__name__} cannot be fused")


def _residual(block: ResnetBlock2D) -> Residual:
    if block.time_emb_proj is not None or block.upsample or block.downsample:
        raise ValueError("an autoencoder's residual block with time or resampling cannot be fused")
    if block.output_scale_factor != 1 or not isinstance(block.nonlinearity, nn.SiLU):
        raise ValueError("only an autoencoder's residual blocks with SiLU and without scale can be fused")
    return Residual(block)


def _doubling(upsample: Upsample2D) -> Doubling:
    if upsample.conv is None or upsample.norm is not None or upsample.use_conv_transpose:
        raise ValueError("only nearest doubling before a 3×3 convolution can be fused")
    return Doubling(upsample)


@torch.no_grad()
def fuse(vae: AutoencoderKL) -> AutoencoderKL:
    """Fuse `vae` in place; it cannot be saved any more. ValueError for an unfamiliar block."""
    vae.encoder, vae.decoder = Coder(vae.encoder), Coder(vae.decoder)
    return vae.to(memory_format=torch.channels_last)
