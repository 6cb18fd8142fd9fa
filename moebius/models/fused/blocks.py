"""Blocks of the fused student, on (B, H, W, C); see `moebius.models.fused.unet`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moebius.models import blocks
from moebius.models.fused.lambda_layers import Constants, InteractiveLambda, LocalLambda
from moebius.models.fused.ops import Depthwise, Product, convolve, fold_norm, product

_PIECE = 3_300_000
"""Activations between two products that are held at once on a CPU; measured for Mix-FFN (2 cores, 1 MB of L2 each)."""


def _piece(x: Tensor) -> int:
    return _PIECE if x.device.type == "cpu" else 2**62


class GroupNorm(nn.Module):
    """GroupNorm over (H, W, C / groups), followed by SiLU where asked; statistics in float32."""

    def __init__(self, norm: nn.GroupNorm):
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.register_buffer("weight", norm.weight)
        self.register_buffer("bias", norm.bias)

    def forward(self, x: Tensor, silu: bool = False) -> Tensor:
        y = self.normalised(x)
        return F.silu(y, inplace=True) if silu else y

    def normalised(self, x: Tensor) -> Tensor:
        b, height, width, channels = x.shape
        # torch's own kernel adds all of a group up in one float32 number, which costs two digits that bfloat16 has not
        if x.dtype != torch.float32:
            planes = x.permute(0, 3, 1, 2)
            return F.group_norm(planes, self.groups, self.weight, self.bias, self.eps).permute(0, 2, 3, 1)
        groups = x.view(b, height * width, channels)
        mean = groups.mean(dim=1).view(b, self.groups, -1).mean(dim=2)
        square = groups.square().mean(dim=1).view(b, self.groups, -1).mean(dim=2)
        scale = torch.rsqrt((square - mean.square()).clamp_min(0) + self.eps)
        repeat = channels // self.groups
        scale = scale.repeat_interleave(repeat, dim=1) * self.weight
        shift = self.bias - mean.repeat_interleave(repeat, dim=1) * scale
        return torch.addcmul(shift[:, None, None], x, scale[:, None, None])


class LayerNorm(nn.Module):
    def __init__(self, norm: nn.LayerNorm):
        super().__init__()
        self.eps = norm.eps
        self.register_buffer("weight", norm.weight)
        self.register_buffer("bias", norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)


class SeparableConv(nn.Module):
    def __init__(self, conv: blocks.SeparableConv):
        super().__init__()
        self.depthwise = Depthwise(*fold_norm(conv.conv_dw.weight, conv.bn1))
        self.pointwise = Product(*fold_norm(conv.conv_pw.weight, conv.bn2))
        self.residual = conv.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.pointwise(F.relu(self.depthwise(x), inplace=True))
        return y.add_(x) if self.residual else y


class ResidualBlock(nn.Module):
    def __init__(self, block: blocks.ResidualBlock):
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(block.norm1), GroupNorm(block.norm2)
        self.conv1, self.conv2 = SeparableConv(block.conv1), SeparableConv(block.conv2)
        shortcut = block.conv_shortcut
        self.shortcut = Product(shortcut.weight, shortcut.bias) if shortcut is not None else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, H, W, in), time (B, out): this block's projection of the embedding."""
        y = self.conv1(self.norm1(x, silu=True)).add_(time[:, None, None])
        y = self.conv2(self.norm2(y, silu=True))
        return y.add_(x if self.shortcut is None else self.shortcut(x))


class MixFFN(nn.Module):
    def __init__(self, ffn: blocks.MixFFN):
        super().__init__()
        self.expand = Product(ffn.expand.weight, ffn.expand.bias)
        self.depthwise = Depthwise(ffn.depthwise.weight, ffn.depthwise.bias)
        self.project = Product(ffn.project.weight, None)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.project.weight.shape[1]
        step = min(hidden, max(32, _piece(x) // x[..., 0].numel() // 16 * 16))
        gated = x.new_empty(*x.shape[:-1], hidden)
        for start in range(0, hidden, step):
            end = min(start + step, hidden)
            a, gate = self.rows(x, start, end), self.rows(x, hidden + start, hidden + end)
            torch.mul(F.silu(gate, inplace=True), a, out=gated[..., start:end])
        return self.project(gated)

    def rows(self, x: Tensor, start: int, end: int) -> Tensor:
        """Hidden channels start to end, after the depthwise convolution."""
        expand, depthwise = self.expand, self.depthwise
        y = product(x, expand.weight[start:end], expand.bias[start:end], silu=True)
        return convolve(y, depthwise.weight[start:end], depthwise.bias[start:end], padding=1, groups=end - start)


class Transformer(nn.Module):
    def __init__(self, transformer: blocks.Transformer):
        super().__init__()
        block = transformer.block
        self.norm = GroupNorm(transformer.norm)
        self.proj_in = Product(transformer.proj_in.weight, transformer.proj_in.bias)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(n) for n in (block.norm1, block.norm2, block.norm3))
        self.local_lambda = LocalLambda(block.local_lambda)
        self.interactive_lambda = InteractiveLambda(block.interactive_lambda)
        self.ff = MixFFN(block.ff)
        self.proj_out = Product(transformer.proj_out.weight, transformer.proj_out.bias)

    def forward(self, x: Tensor, constants: Constants) -> Tensor:
        """x (B, H, W, C), constants of B conditions, or of more: then the branches part here."""
        y = self.proj_in(self.norm(x))
        y = self.local_lambda(self.norm1(y)).add_(y)
        x, y = (repeated(each, len(constants.values)) for each in (x, y))
        y = self.interactive_lambda(self.norm2(y), constants).add_(y)
        y = self.ff(self.norm3(y)).add_(y)
        return self.proj_out(y).add_(x)


def repeated(x: Tensor, batch: int) -> Tensor:
    """(B, ...) -> (batch, ...), one copy after the other."""
    return x if x.shape[0] == batch else x.repeat(batch // x.shape[0], *[1] * (x.ndim - 1))


class Downsampler(nn.Module):
    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.register_buffer("weight", conv.weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, stride=2, padding=1)


class Upsampler(nn.Module):
    """Of the nine products of the 3×3 kernel those that meet the same low-resolution pixel are added beforehand; each
    of the four kinds of high-resolution pixels is then one product with its 2×2 neighbours."""

    def __init__(self, conv: blocks.Upsampler):
        super().__init__()
        # an even output row sees kernel rows (0), (1, 2) on inputs y - 1, y; an odd one (0, 1), (2) on y, y + 1
        halves = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=conv.weight.dtype)
        halves = halves.to(conv.weight.device)
        weight = torch.einsum("oiyx,pay,qbx->pqoabi", conv.weight, halves, halves)  # (2, 2, out, 2, 2, in)
        self.register_buffer("weight", weight.flatten(3).flatten(0, 1).contiguous())  # (4, out, 4 · in)
        self.register_buffer("bias", conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        b, height, width, channels = x.shape
        out = x.new_empty(b, height, 2, width, 2, channels)
        rows = max(1, _piece(x) // (4 * x[:, 0].numel()))
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            around = x[:, max(top - 1, 0) : bottom + 1]
            padded = F.pad(around, (0, 0, 1, 1, int(top == 0), int(bottom == height)))
            for p, q in ((0, 0), (0, 1), (1, 0), (1, 1)):
                corners = [
                    padded[:, p + i : p + i + bottom - top, q + j : q + j + width] for i in (0, 1) for j in (0, 1)
                ]
                out[:, top:bottom, p, :, q] = product(torch.cat(corners, dim=-1), self.weight[2 * p + q], self.bias)
        return out.view(b, 2 * height, 2 * width, channels)
