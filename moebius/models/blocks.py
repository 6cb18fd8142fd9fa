"""The parts that the student's stages are made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from moebius.models.lambda_layers import InteractiveLambda, LocalLambda


class SeparableConv(nn.Module):
    """Depthwise 3×3, BatchNorm, ReLU, pointwise 1×1, BatchNorm; plus its input where the channel count stays."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv_dw = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.residual = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv_pw(F.relu(self.bn1(self.conv_dw(x)))))
        return x + y if self.residual else y


class ResidualBlock(nn.Module):
    """Two separable convolutions with the time added between them: (B, in, h, w), (B, T) -> (B, out, h, w)."""

    def __init__(self, in_channels: int, out_channels: int, time_channels: int, groups: int = 32):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=1e-5)
        self.conv1 = SeparableConv(in_channels, out_channels)
        self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=1e-5)
        self.conv2 = SeparableConv(out_channels, out_channels)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.time_emb_proj(F.silu(time))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class MixFFN(nn.Module):
    """Gated feed-forward with a depthwise 3×3 inside (SANA, arXiv:2410.10629); `ratio` · C channels after the gate."""

    def __init__(self, channels: int, ratio: float):
        super().__init__()
        hidden = int(channels * ratio)
        self.expand = nn.Conv2d(channels, 2 * hidden, 1)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a, gate = self.depthwise(F.silu(self.expand(x))).chunk(2, dim=1)
        return self.project(a * F.silu(gate))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


class LambdaBlock(nn.Module):
    """Local-λ, Interactive-λ and Mix-FFN, each normalised before and added to its input."""

    def __init__(
        self,
        channels: int,
        context_channels: int,
        tokens: int,
        grid: tuple[int, int],
        *,
        heads: int,
        window: int,
        ffn_ratio: float,
    ):
        super().__init__()
        self.norm1 = ChannelNorm(channels, eps=1e-5)
        self.local_lambda = LocalLambda(channels, heads, window)
        self.norm2 = ChannelNorm(channels, eps=1e-5)
        self.interactive_lambda = InteractiveLambda(channels, context_channels, tokens, grid, heads)
        self.norm3 = ChannelNorm(channels, eps=1e-5)
        self.ff = MixFFN(channels, ffn_ratio)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.local_lambda(self.norm1(x))
        x = x + self.interactive_lambda(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    """One λ block between two 1×1 convolutions, added to its input: (B, C, h, w), (B, m, D) -> (B, C, h, w)."""

    def __init__(
        self,
        channels: int,
        context_channels: int,
        tokens: int,
        grid: tuple[int, int],
        *,
        heads: int,
        window: int,
        ffn_ratio: float,
        groups: int = 32,
    ):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.block = LambdaBlock(
            channels, context_channels, tokens, grid, heads=heads, window=window, ffn_ratio=ffn_ratio
        )
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return x + self.proj_out(self.block(self.proj_in(self.norm(x)), context))


class Upsampler(nn.Conv2d):
    """Nearest ×2, or nearest to a given size, then a 3×3 convolution."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return super().forward(F.interpolate(x, size=size, mode="nearest"))


class Stage(nn.Module):
    """Pairs of residual block and transformer at one resolution, with the step to the next one if there is one."""

    def __init__(self, pairs: list[tuple[ResidualBlock, Transformer]]):
        super().__init__()
        self.resnets = nn.ModuleList(resnet for resnet, _ in pairs)
        self.attentions = nn.ModuleList(transformer for _, transformer in pairs)
        self.gradient_checkpointing = False

    def pair(self, index: int, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """Run pair `index`; with gradient checkpointing its activations are computed again in the backward pass."""
        if not (self.gradient_checkpointing and torch.is_grad_enabled()):
            return self.attentions[index](self.resnets[index](x, time), context)

        def run(x: Tensor, time: Tensor, context: Tensor) -> Tensor:
            return self.attentions[index](self.resnets[index](x, time), context)

        def contexts() -> tuple[
            AbstractContextManager, AbstractContextManager
        ]:  # the second pass must not count in the running statistics again
            return nullcontext(), _frozen_statistics(self.resnets[index], self.attentions[index])

        return checkpoint(run, x, time, context, use_reentrant=False, context_fn=contexts)


class DownStage(Stage):
    """Every pair's output is a skip, and so is the downsampler's."""

    def __init__(self, pairs: list[tuple[ResidualBlock, Transformer]], downsampler: nn.Conv2d | None):
        super().__init__(pairs)
        self.downsampler = downsampler

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for index in range(len(self.resnets)):
            x = self.pair(index, x, time, context)
            skips.append(x)
        if self.downsampler is not None:
            x = self.downsampler(x)
            skips.append(x)
        return x, skips


class UpStage(Stage):
    """Every pair first takes one skip, the last in first."""

    def __init__(self, pairs: list[tuple[ResidualBlock, Transformer]], upsampler: Upsampler | None):
        super().__init__(pairs)
        self.upsampler = upsampler

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Tensor) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.pair(index, torch.cat([x, skips.pop()], dim=1), time, context)
        if self.upsampler is not None:
            x = self.upsampler(x, skips[-1].shape[-2:])  # the next skip's size: right for odd grids too
        return x


@contextmanager
def _frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    norms = [m for module in modules for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
