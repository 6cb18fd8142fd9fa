"""The two lambda layers of the student (lambda layers: Bello 2021, arXiv:2102.08602).

Both turn a context into a linear map per position and apply it to queries: no attention matrix between positions.
Letters: b batch, C channels, h heads, k query depth, v value depth, m condition tokens, n = H·W positions, row-major.
Q is (b, h, k, n), its C = h·k channels head-major; the output is (b, h, v, n), its C = h·v channels head-major.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocalLambda(nn.Module):
    """Self-context: a content lambda over all positions, a position lambda over a window around each.

    λc[k,v] = Σ_n softmax_n(K)[k,n] V[v,n];  λp[k,v,n] = Σ_δ R[k,δ] V[v,n+δ] + r[k];
    y[h,v,n] = Σ_k Q[h,k,n] (λc[k,v] + λp[k,v,n]).

    Args:
        channels: C, in and out.
        heads: h; C must be divisible by it, k = v = C / h.
        window: side of the window of δ, odd; outside the picture V counts as zero.
    """

    def __init__(self, channels: int, heads: int = 8, window: int = 15):
        super().__init__()
        depth = channels // heads
        self.heads, self.depth, self.window = heads, depth, window
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Conv2d(channels, depth, 1, bias=False)
        self.to_v = nn.Conv2d(channels, depth, 1, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm2d(depth)
        self.pos_conv = nn.Conv3d(1, depth, (1, window, window), padding=(0, window // 2, window // 2))

    def forward(self, x: Tensor) -> Tensor:
        """(b, C, H, W) -> (b, C, H, W)."""
        b, channels, height, width = x.shape
        h, k, n = self.heads, self.depth, height * width
        q = self.norm_q(self.to_q(x)).view(b, h, k, n)
        keys = self.to_k(x).view(b, k, n).softmax(dim=-1)
        v = self.norm_v(self.to_v(x))  # (b, v, H, W)
        content = torch.einsum("bkn,bvn->bvk", keys, v.flatten(2))
        lambdas = self.position_lambdas(v) + content[..., None]  # (b, v, k, n)
        y = torch.einsum("bhkn,bvkn->bhvn", q, lambdas)
        return y.reshape(b, channels, height, width)

    def position_lambdas(self, v: Tensor) -> Tensor:
        """(b, v, H, W) -> (b, v, k, n), the kernels R the same for every v.

        One input channel starves a convolution, so the window is unfolded along x into channels and the convolution
        runs along y alone: the same products, several times faster.
        """
        b, depth, height, width = v.shape
        pad = self.window // 2
        strips = F.pad(v, (pad, pad)).unfold(3, width, 1)  # (b, v, H, window, W)
        strips = strips.permute(0, 1, 3, 2, 4).reshape(b * depth, self.window, height, width)
        kernel = self.pos_conv.weight[:, 0, 0].transpose(1, 2).unsqueeze(-1)  # (k, δx, δy, 1)
        out = F.conv2d(strips, kernel, self.pos_conv.bias, padding=(pad, 0))  # (b·v, k, H, W)
        return out.view(b, depth, self.depth, height * width)


class InteractiveLambda(nn.Module):
    """Context is the condition: a content lambda over its tokens, a position lambda from a learned table.

    λc[k,v] = Σ_m softmax_m(K)[k,m] V[v,m];  λp[k,v,n] = Σ_m E[n,m,k] V[v,m];
    y[h,v,n] = Σ_k Q[h,k,n] (λc[k,v] + λp[k,v,n]), computed as
    y[h,v,n] = Σ_m (Σ_k Q[h,k,n] (softmax_m(K)[k,m] + E[n,m,k])) V[v,m], which needs no (k, v, n) tensor.

    Args:
        channels: C, in and out.
        context_channels: width of the condition's tokens.
        tokens: m.
        grid: (H, W) of the table E. On any other grid E is interpolated bilinearly, which is outside the paper.
    """

    def __init__(self, channels: int, context_channels: int, tokens: int, grid: tuple[int, int], heads: int = 8):
        super().__init__()
        depth = channels // heads
        self.heads, self.depth, self.grid = heads, depth, grid
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Linear(context_channels, depth, bias=False)
        self.to_v = nn.Linear(context_channels, depth, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm1d(depth)
        self.rel_pos_emb = nn.Parameter(torch.randn(grid[0] * grid[1], tokens, depth, 1) * depth**-0.5)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (b, C, H, W), context (b, m, context_channels) -> (b, C, H, W)."""
        b, channels, height, width = x.shape
        h, k, n = self.heads, self.depth, height * width
        q = self.norm_q(self.to_q(x)).view(b, h, k, n)
        keys = self.to_k(context).softmax(dim=1)  # (b, m, k)
        v = self.norm_v(self.to_v(context).transpose(1, 2))  # (b, v, m)
        keyed = self.position_table(height, width) + keys[:, None]  # (b, n, m, k)
        weights = torch.einsum("bhkn,bnmk->bhmn", q, keyed)
        y = torch.einsum("bhmn,bvm->bhvn", weights, v)
        return y.reshape(b, channels, height, width)

    def position_table(self, height: int, width: int) -> Tensor:
        """E as (n, m, k) for a grid of `height` × `width`."""
        table = self.rel_pos_emb.squeeze(-1)
        if (height, width) == self.grid:
            return table
        _, tokens, depth = table.shape
        planes = table.view(*self.grid, tokens * depth).permute(2, 0, 1)[None]
        planes = F.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
        return planes[0].permute(1, 2, 0).reshape(height * width, tokens, depth)
