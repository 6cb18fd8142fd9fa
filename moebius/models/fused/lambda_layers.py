"""Local-λ and Interactive-λ of the fused student; see `moebius.models.fused.unet`."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moebius.models import lambda_layers
from moebius.models.fused.ops import Product, fold_norm, product

_ROWS = 128
"""Rows of positions whose tiles Local-λ takes at once."""
_TILES = {True: 4, False: 8}
"""Positions along x whose windows are one product: in float32, else. More are fewer calls and more zeros."""

KERNELS = ("torch", "triton")


class LocalLambda(nn.Module):
    """`kernel = "triton"` runs `moebius.models.fused.local_kernel` instead of torch; it is never chosen by itself."""

    def __init__(self, layer: lambda_layers.LocalLambda):
        super().__init__()
        self.heads, self.depth, self.window, self.kernel = layer.heads, layer.depth, layer.window, "torch"
        query, query_bias = fold_norm(layer.to_q.weight, layer.norm_q)
        value, value_bias = fold_norm(layer.to_v.weight, layer.norm_v)
        key = layer.to_k.weight
        self.query = Product(query, query_bias)
        self.key_value = Product(torch.cat([key, value]), torch.cat([torch.zeros_like(value_bias), value_bias]))
        kernel = layer.pos_conv.weight[:, 0, 0]  # (k, δy, δx)
        self.register_buffer("relative", kernel.permute(2, 1, 0).flatten(0, 1).contiguous())  # (δx·δy, k)
        self.register_buffer("constant", layer.pos_conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        b, height, width, channels = x.shape
        h, k = self.heads, self.depth
        q = self.query(x).view(b, height * width * h, k)
        keys, v = self.key_value(x).split(k, dim=-1)
        keys = keys.reshape(b, -1, k).float().softmax(dim=1)
        content = keys.transpose(1, 2) @ v.reshape(b, -1, k).float() + self.constant[:, None].float()  # (b, k, v)
        if self.kernel == "triton":
            return _triton(q.view(b, height, width, h, k), v, self.relative, content).flatten(3)
        y = self.local(q.view(b, height, width * h, k), v)
        return y.view(b, -1, k).add_(q @ content.to(q.dtype)).view(b, height, width, channels)

    def local(self, q: Tensor, v: Tensor) -> Tensor:
        """q (b, H, W·h, k), v (b, H, W, k) -> Σ_δ (q · R[δ]) v[n + δ], (b, H, W·h, k)."""
        b, height, width, k = v.shape
        h, window, pad = self.heads, self.window, self.window // 2
        padded = F.pad(v, (0, 0, pad, pad, pad, pad))
        s = padded.stride()
        columns = (b, height, width + 2 * pad, window, k)  # at (y, x): the values of (y + δy, x) for every δy
        stacked = padded.as_strided(columns, (s[0], s[1], s[2], s[1], 1)).contiguous().view(b * height, -1, k)
        q, out = q.reshape(b * height, -1, k), torch.empty_like(q).view(b * height, -1, k)
        tile, rows = min(_TILES[v.dtype == torch.float32], width), min(_ROWS, b * height)
        if v.device.type != "cpu":
            rows = b * height  # the fewest calls; there is no cache to stay in
        # windows of neighbours overlap: each begins `window` values after the one before, and is zero outside itself
        span = (tile + window - 1) * window
        weights = q.new_zeros(rows, tile * h, span)
        windows = weights.as_strided((rows, tile, h, window * window), (tile * h * span, h * span + window, span, 1))
        for top in range(0, b * height, rows):
            count = min(rows, b * height - top)
            for left in range(0, width, tile):
                across = min(tile, width - left)
                here = (slice(top, top + count), slice(left * h, (left + across) * h))
                local = product(q[here], self.relative).view(count, across, h, window * window)
                windows[:count, :across] = local
                length = (across + window - 1) * window
                values = stacked[top : top + count, left * window : left * window + length]
                out[here] = torch.bmm(weights[:count, : across * h, :length], values)
        return out.view(b, height, -1, k)


def _triton(q: Tensor, v: Tensor, relative: Tensor, content: Tensor) -> Tensor:
    if q.device.type != "cuda":
        raise ValueError(f'kernel "triton" needs a CUDA device, the tensors are on {q.device}; use kernel "torch"')
    from moebius.models.fused.local_kernel import local_lambda

    return local_lambda(q, v, relative, content)


class Constants(NamedTuple):
    """What Interactive-λ's queries meet: they depend on condition and grid alone."""

    keys: Tensor
    """(B, k, m), after the softmax."""
    values: Tensor
    """(B, m, v)."""
    table: Tensor
    """(n, m, k): the position table, the same for every condition."""


class InteractiveLambda(nn.Module):
    def __init__(self, layer: lambda_layers.InteractiveLambda):
        super().__init__()
        self.heads, self.depth = layer.heads, layer.depth
        self.query = Product(*fold_norm(layer.to_q.weight, layer.norm_q))
        self.trained = [layer]  # in a list: not a submodule

    def constants(self, context: Tensor, height: int, width: int) -> Constants:
        """For a condition context (B, m, D) on a grid."""
        (layer,) = self.trained
        keys = layer.to_k(context).softmax(dim=1)  # (B, m, k)
        values = layer.norm_v(layer.to_v(context).transpose(1, 2)).transpose(1, 2)
        return Constants(keys.transpose(1, 2), values.contiguous(), layer.position_table(height, width))

    def forward(self, x: Tensor, constants: Constants) -> Tensor:
        b, height, width, channels = x.shape
        q = self.query(x).view(b, height * width * self.heads, self.depth)
        weights = torch.bmm(q, constants.keys)  # (B, n·h, m)
        for one, queries in zip(weights, q, strict=True):
            by_place = one.view(height * width, self.heads, -1)
            by_place.baddbmm_(queries.view(height * width, self.heads, -1), constants.table.transpose(1, 2))
        return torch.bmm(weights, constants.values).view(b, height, width, channels)
