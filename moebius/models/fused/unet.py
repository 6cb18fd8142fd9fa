"""The student fused for inference: the same function as `MoebiusUNet`, with everything constant computed beforehand.

Made by `MoebiusUNet.fuse()`; nothing here is trained or saved. Activations are (B, H, W, C), so that 1×1 convolutions
are matrix products and depthwise ones read whole cache lines. The rewrites, each exact up to rounding:

- BatchNorms are folded into the products beside them; Local-λ's k and v are one product.
- Branches of guidance that differ in their condition alone share everything before the first Interactive-λ.
- Local-λ: y[h,v,n] = Σ_δ (Σ_k Q[h,k,n] R[k,δ]) V[v,n+δ], local attention without a softmax, instead of a lambda
  (k, v, n). The window's rows lie next to each other in one copy of V, so the windows of a tile of positions are one
  strided view, and a tile is one product with weights that are zero outside each position's window.
- Interactive-λ: keys, values and the position table depend on the condition and the grid alone, so they are kept.
- Nearest ×2 followed by a 3×3 convolution is four 2×2 convolutions at the low resolution, 4/9 of the work.
- The projections of the time embedding are one product for all blocks, kept for every step of a schedule.
- Mix-FFN takes its hidden channels in pieces that stay in the cache from the first product to the gate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moebius.config import ModelDefaults
from moebius.models import blocks, lambda_layers
from moebius.models.fused.blocks import (
    Downsampler,
    GroupNorm,
    ResidualBlock,
    SeparableConv,
    Transformer,
    Upsampler,
    repeated,
)
from moebius.models.fused.lambda_layers import KERNELS, Constants, LocalLambda
from moebius.models.fused.ops import Product

if TYPE_CHECKING:
    from moebius.models.unet import MoebiusUNet, MoebiusUNetOutput

_MOMENTS = 64
"""Timesteps whose projections are kept."""


class Stage(nn.Module):
    """A down or an up stage: pairs of residual block and transformer, and the step to the next resolution."""

    def __init__(self, stage: blocks.Stage, release: bool):
        super().__init__()
        fused = functools.partial(_fused, release=release)
        self.resnets = nn.ModuleList(fused(ResidualBlock, block) for block in stage.resnets)
        self.attentions = nn.ModuleList(fused(Transformer, transformer) for transformer in stage.attentions)
        down, up = getattr(stage, "downsampler", None), getattr(stage, "upsampler", None)
        self.step = fused(Downsampler, down) if down is not None else fused(Upsampler, up) if up is not None else None


def _fused(kind: type[nn.Module], trained: nn.Module, release: bool) -> nn.Module:
    """The fused counterpart of a trained part, whose weights are freed if `release` says so."""
    part = kind(trained)
    if release:
        _release(trained)
    return part


class FusedMoebiusUNet(nn.Module):
    """Called like `MoebiusUNet`, for inference alone.

    It keeps the network that was fused (`trained`), whose small parts compute the constants of new conditions. It
    follows neither its later training nor its moves between devices: fuse again.
    """

    shares_branches = True
    """`forward` takes fewer samples than conditions."""

    def __init__(self, network: MoebiusUNet, release: bool = False):
        """release: see `MoebiusUNet.fuse`."""
        super().__init__()
        self.trained = [network]  # in a list: not a submodule
        self.config = network.config
        self._parameter_count, self._released = network.num_parameters(), release
        resnets = [block for stage in (*network.down_blocks, *network.up_blocks) for block in stage.resnets]
        self.time = Product(
            torch.cat([block.time_emb_proj.weight for block in resnets]),
            torch.cat([block.time_emb_proj.bias for block in resnets]),
        )
        self.time_widths = [block.time_emb_proj.out_features for block in resnets]
        self.conv_in = _fused(SeparableConv, network.conv_in, release)
        self.down_blocks = nn.ModuleList(Stage(stage, release) for stage in network.down_blocks)
        self.up_blocks = nn.ModuleList(Stage(stage, release) for stage in network.up_blocks)
        self.norm_out = _fused(GroupNorm, network.conv_norm_out, release)
        self.conv_out = _fused(SeparableConv, network.conv_out, release)
        self._kept: _Kept | None = None
        self._graphs: Callable[..., Tensor] | None = None
        self._times: dict[float, Tensor] = {}

    @property
    def model_name(self) -> str:
        return self.trained[0].model_name

    @property
    def defaults(self) -> ModelDefaults:
        return self.trained[0].defaults

    def num_parameters(self) -> int:
        """Of the network that was fused."""
        return self._parameter_count

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Saves the network that was fused; raises ValueError if its weights were freed."""
        if self._released:
            raise ValueError(
                "the trained weights were freed when the network was fused; load the network again to save it"
            )
        self.trained[0].save_pretrained(*args, **kwargs)

    @property
    def dtype(self) -> torch.dtype:
        return self.time.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.time.weight.device

    @torch.no_grad()
    def forward(
        self, sample: Tensor, timestep: Tensor | float | int, token_ids: Tensor, return_dict: bool = True
    ) -> MoebiusUNetOutput | tuple[Tensor, tuple[Tensor, ...]]:
        """See `MoebiusUNet.forward`; sides of the grid must be divisible by 2 per downsampler.

        token_ids may hold several conditions for each sample, (R·B, 10), the first of every sample first: the result is
        that for R copies of the samples, but what does not depend on the condition is computed once.
        """
        from moebius.models.unet import MoebiusUNetOutput

        (network,) = self.trained
        shared, batch = sample.shape[0], token_ids.shape[0]
        network.check_input(sample, token_ids if batch % shared else token_ids[:shared])
        multiple = 2 ** (len(self.down_blocks) - 1)
        if sample.shape[2] % multiple or sample.shape[3] % multiple:
            raise ValueError(
                f"the fused network takes grids divisible by {multiple}, got {tuple(sample.shape[2:])}; "
                "the trained one takes any"
            )
        time = self._projections(timestep, sample, batch)
        constants = self._constants(token_ids, *sample.shape[2:])
        x = sample.permute(0, 2, 3, 1).contiguous()
        if self._graphs is None:
            x, outputs = self.predict(x, time, constants)
        else:
            x, outputs = self._graphs(x, time, constants), ()
        return MoebiusUNetOutput(sample=x, block_outputs=outputs) if return_dict else (x, outputs)

    def predict(self, x: Tensor, time: Tensor, constants: list[Constants]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What every step computes: x (b, h, w, in), time (B or 1, sum of widths) and the constants of
        every Interactive-λ for B conditions -> (B, 4, h, w), and the stages' outputs."""
        batch = len(constants[0].values)
        times, each = iter(time.split(self.time_widths, dim=-1)), iter(constants)
        x = self.conv_in(x)
        skips, outputs = [repeated(x, batch)], []
        for stage in self.down_blocks:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = attention(resnet(x, next(times)[: x.shape[0]]), next(each))
                skips.append(x)
            if stage.step is not None:
                x = stage.step(x)
                skips.append(x)
            outputs.append(x.permute(0, 3, 1, 2))
        for stage in self.up_blocks:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = attention(resnet(torch.cat([x, skips.pop()], dim=-1), next(times)), next(each))
            if stage.step is not None:
                x = stage.step(x)
            outputs.append(x.permute(0, 3, 1, 2))
        x = self.conv_out(F.silu(self.norm_out(x))).permute(0, 3, 1, 2).contiguous()  # (B, 4, h, w)
        return x, tuple(outputs)

    def set_local_kernel(self, kernel: str) -> None:
        """Of Local-λ: `torch` runs anywhere and is the default; `triton` is one kernel, for CUDA, where installed.

        Raises:
            ValueError: there is no such kernel, or Triton is not installed.
        """
        if kernel not in KERNELS:
            raise ValueError(f"unknown kernel {kernel!r}; choose from {', '.join(KERNELS)}")
        if kernel == "triton":
            from moebius.models.fused.local_kernel import check_installed

            check_installed()
        for module in self.modules():
            if isinstance(module, LocalLambda):
                module.kernel = kernel

    def compile_graphs(self, backend: str = "inductor") -> None:
        """Compile every following step, once for each batch and grid; on CUDA with CUDA graphs. Off unless called.

        Pictures, timesteps, conditions and seeds change nothing that is compiled. The first step of a shape takes
        minutes; block outputs are left out. Choose the kernel before.

        backend: one of torch.compile's; "eager" and "aot_eager" trace and compile nothing.
        """
        from moebius.models.fused.graphs import Graphs

        self._graphs = Graphs(self.predict, self.device, backend)

    def _projections(self, timestep: Tensor | float | int, sample: Tensor, batch: int) -> Tensor:
        """Every block's projection of the time embedding, side by side: (batch, sum of widths), or (1, sum of widths)
        where the time is one number."""
        (network,) = self.trained
        if torch.as_tensor(timestep).numel() > 1:
            return self.time(F.silu(repeated(network.embed_time(timestep, sample), batch)))
        if isinstance(timestep, Tensor) and timestep.device.type != "cpu":  # to read it would wait for the device
            return self.time(F.silu(network.embed_time(timestep, sample[:1])))
        moment = float(timestep)
        if moment not in self._times:
            if len(self._times) >= _MOMENTS:
                self._times.clear()
            self._times[moment] = self.time(F.silu(network.embed_time(moment, sample[:1])))
        return self._times[moment]

    def _constants(self, token_ids: Tensor, height: int, width: int) -> list[Constants]:
        """The constants of every Interactive-λ for these conditions and this grid; the last ones are kept."""
        kept = self._kept
        if kept is not None and kept.grid == (height, width) and kept.is_for(token_ids):
            return kept.values
        (network,) = self.trained
        context = network.encoder_hid_proj(network.token_table(token_ids))
        values, side = [], (height, width)
        for index, stage in enumerate(self.down_blocks):
            here = (side[0] // 2**index, side[1] // 2**index)
            values += [t.interactive_lambda.constants(context, *here) for t in stage.attentions]
        last = len(self.up_blocks) - 1
        for index, stage in enumerate(self.up_blocks):
            here = (side[0] // 2 ** (last - index), side[1] // 2 ** (last - index))
            values += [t.interactive_lambda.constants(context, *here) for t in stage.attentions]
        self._kept = _Kept(token_ids, token_ids.clone(), token_ids._version, (height, width), values)
        return values


class _Kept(NamedTuple):
    """The constants of the last conditions."""

    requested: Tensor
    token_ids: Tensor
    """A copy of `requested`, which its owner may change."""
    version: int
    grid: tuple[int, int]
    values: list[Constants]

    def is_for(self, token_ids: Tensor) -> bool:
        """The same tensor, as in all steps of a fill, is known without reading it, which would wait for the device."""
        if token_ids is self.requested and token_ids._version == self.version:
            return True
        return token_ids.shape == self.token_ids.shape and torch.equal(token_ids, self.token_ids)


def _release(module: nn.Module) -> None:
    """Move parameters to the meta device, but those that Interactive-λ makes constants of."""
    if isinstance(module, lambda_layers.InteractiveLambda):
        module.to_q, module.norm_q = module.to_q.to("meta"), module.norm_q.to("meta")
        return
    for child in module.children():
        _release(child)
    if not any(True for _ in module.children()):
        module.to("meta")
