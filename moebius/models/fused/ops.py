"""Operations of the fused networks: products and convolutions on (B, H, W, C), with constants folded in."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fold_norm(weight: Tensor, norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight (out, ...) and bias (out,) of a product without bias followed by `norm` in eval mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), norm.bias - norm.running_mean * scale


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, silu: bool = False) -> Tensor:
    """`F.linear`, followed by SiLU where asked.

    On a CPU by oneDNN, which is what torch's own compiler calls too: in float32 `F.linear` goes to MKL, which uses half
    the vector width on AMD (16.6 against 7.6 ms for 8192×320×320 on one core); in bfloat16 it copies the bias first.
    """
    compiling = torch.compiler.is_compiling()  # then `F.linear` is what torch's compiler can work on
    if x.device.type == "cpu" and not compiling and x.dtype in _onednn_dtypes():
        return torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "swish" if silu else "none", [], "")
    y = F.linear(x, weight, bias)
    return F.silu(y, inplace=True) if silu else y


@functools.cache
def _onednn_dtypes() -> tuple[torch.dtype, ...]:
    ops = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(ops, "_linear_pointwise")):
        return ()
    half = hasattr(ops, "_is_mkldnn_bf16_supported") and ops._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if half else (torch.float32,)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, **options: Any) -> Tensor:
    """`F.conv2d` on (B, H, W, C)."""
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, **options).permute(0, 2, 3, 1)


class Product(nn.Module):
    """A matrix product over the channels: (..., in) -> (..., out)."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.register_buffer("weight", weight.flatten(1).contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


class Depthwise(nn.Module):
    """A 3×3 convolution of each channel alone."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, padding=1, groups=x.shape[-1])
