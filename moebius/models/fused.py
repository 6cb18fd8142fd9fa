"""The student's inference form: the same function as `MoebiusUNet`, with what is constant computed beforehand.

Made by `MoebiusUNet.fuse()`; nothing here is trained or saved. Activations are (B, H, W, C), so that 1×1 convolutions
are matrix products and depthwise ones read whole cache lines. The rewrites, each exact up to rounding:

- BatchNorms are folded into the products beside them; Local-λ's k and v are one product.
- Branches of guidance that differ in their condition alone share everything before the first Interactive-λ.
- Local-λ: y[h,v,n] = Σ_δ (Σ_k Q[h,k,n] R[k,δ]) V[v,n+δ], local attention without a softmax, instead of a lambda
  (k, v, n). The window's rows lie next to each other in one copy of V, so the windows of a tile of positions are one
  strided view, and a tile is one product with weights that are zero outside each position's window.
- Interactive-λ: keys, values and the position table belong to the condition, which never changes, and are kept.
- Nearest ×2 followed by a 3×3 convolution is four 2×2 convolutions at the low resolution, 4/9 of the work.
- The projections of the time embedding are one product for all blocks, kept for every step of a schedule.
- Mix-FFN takes its hidden channels in pieces that stay in the cache from the first product to the gate.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moebius.models import blocks, lambda_layers

if TYPE_CHECKING:
    from moebius.models.unet import MoebiusUNet


def fold_norm(weight: Tensor, norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight (out, ...) and bias (out,) of a product without bias followed by `norm` in eval mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), norm.bias - norm.running_mean * scale


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, silu: bool = False) -> Tensor:
    """`F.linear`, followed by SiLU where asked.

    On a CPU by oneDNN, which is what torch's own compiler calls too: in float32 `F.linear` goes to MKL, which uses half
    the vector width on AMD (16.6 against 7.6 ms for 8192×320×320 on one core); in bfloat16 it copies the bias first.
    """
    if x.device.type == "cpu" and x.dtype in _onednn_dtypes():
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


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, **options) -> Tensor:
    """`F.conv2d` on (B, H, W, C)."""
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, **options).permute(0, 2, 3, 1)


_ROWS = 128
"""Rows of positions whose tiles Local-λ takes at once."""
_TILES = {True: 4, False: 8}
"""Positions along x whose windows are one product: in float32, else. More are fewer calls and more zeros."""
_MOMENTS = 64
"""Timesteps whose projections are kept."""
_PIECE = 3_300_000
"""Activations between two products that are held at once; measured for Mix-FFN (2 cores, 1 MB of L2 each)."""


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


class LocalLambda(nn.Module):
    def __init__(self, layer: lambda_layers.LocalLambda):
        super().__init__()
        self.heads, self.depth, self.window = layer.heads, layer.depth, layer.window
        query, query_bias = fold_norm(layer.to_q.weight, layer.norm_q)
        value, value_bias = fold_norm(layer.to_v.weight, layer.norm_v)
        key = layer.to_k.weight
        self.query = Product(query, query_bias)
        self.key_value = Product(torch.cat([key, value]), torch.cat([torch.zeros_like(value_bias), value_bias]))
        kernel = layer.pos_conv.weight[:, 0, 0]  # (k, δy, δx)
        self.register_buffer("kernel", kernel.permute(2, 1, 0).flatten(0, 1).contiguous())  # (δx·δy, k)
        self.register_buffer("constant", layer.pos_conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        b, height, width, channels = x.shape
        h, k = self.heads, self.depth
        q = self.query(x).view(b, height * width * h, k)
        keys, v = self.key_value(x).split(k, dim=-1)
        keys = keys.reshape(b, -1, k).float().softmax(dim=1)
        content = keys.transpose(1, 2) @ v.reshape(b, -1, k).float() + self.constant[:, None].float()  # (b, k, v)
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
        # windows of neighbours overlap: each begins `window` values after the one before, and is zero outside itself
        span = (tile + window - 1) * window
        weights = q.new_zeros(rows, tile * h, span)
        windows = weights.as_strided((rows, tile, h, window * window), (tile * h * span, h * span + window, span, 1))
        for top in range(0, b * height, rows):
            count = min(rows, b * height - top)
            for left in range(0, width, tile):
                across = min(tile, width - left)
                here = (slice(top, top + count), slice(left * h, (left + across) * h))
                local = product(q[here], self.kernel).view(count, across, h, window * window)
                windows[:count, :across] = local
                length = (across + window - 1) * window
                values = stacked[top : top + count, left * window : left * window + length]
                out[here] = torch.bmm(weights[:count, : across * h, :length], values)
        return out.view(b, height, -1, k)


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


class MixFFN(nn.Module):
    def __init__(self, ffn: blocks.MixFFN):
        super().__init__()
        self.expand = Product(ffn.expand.weight, ffn.expand.bias)
        self.depthwise = Depthwise(ffn.depthwise.weight, ffn.depthwise.bias)
        self.project = Product(ffn.project.weight, None)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.project.weight.shape[1]
        step = min(hidden, max(32, _PIECE // x[..., 0].numel() // 16 * 16))
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
        rows = max(1, _PIECE // (4 * x[:, 0].numel()))
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


class Stage(nn.Module):
    """A down or an up stage: pairs of residual block and transformer, and the step to the next resolution."""

    def __init__(self, stage: blocks.Stage, release: bool):
        super().__init__()
        made = functools.partial(_made, release=release)
        self.resnets = nn.ModuleList(made(ResidualBlock, block) for block in stage.resnets)
        self.attentions = nn.ModuleList(made(Transformer, transformer) for transformer in stage.attentions)
        down, up = getattr(stage, "downsampler", None), getattr(stage, "upsampler", None)
        self.step = made(Downsampler, down) if down is not None else made(Upsampler, up) if up is not None else None


def _made(kind: type[nn.Module], trained: nn.Module, release: bool) -> nn.Module:
    """The fast form of a part, the trained one let go of where that is asked."""
    part = kind(trained)
    if release:
        _release(trained)
    return part


class FusedMoebiusUNet(nn.Module):
    """Called like `MoebiusUNet`, for inference alone.

    It keeps the network that it was made from (`trained`), whose small parts answer for new conditions; it follows
    neither its later training nor its moves between devices: fuse again.
    """

    shares_branches = True
    """`forward` takes fewer samples than conditions."""

    def __init__(self, network: MoebiusUNet, release: bool = False):
        """release: see `MoebiusUNet.fuse`."""
        super().__init__()
        self.trained = [network]  # in a list: not a submodule
        self.config = network.config
        self._parameters_once, self._released = network.num_parameters(), release
        resnets = [block for stage in (*network.down_blocks, *network.up_blocks) for block in stage.resnets]
        self.time = Product(
            torch.cat([block.time_emb_proj.weight for block in resnets]),
            torch.cat([block.time_emb_proj.bias for block in resnets]),
        )
        self.time_widths = [block.time_emb_proj.out_features for block in resnets]
        self.conv_in = _made(SeparableConv, network.conv_in, release)
        self.down_blocks = nn.ModuleList(Stage(stage, release) for stage in network.down_blocks)
        self.up_blocks = nn.ModuleList(Stage(stage, release) for stage in network.up_blocks)
        self.norm_out = _made(GroupNorm, network.conv_norm_out, release)
        self.conv_out = _made(SeparableConv, network.conv_out, release)
        self._kept: tuple[tuple, list] | None = None
        self._times: dict[float, Tensor] = {}

    @property
    def model_name(self) -> str:
        return self.trained[0].model_name

    def num_parameters(self) -> int:
        """Of the network that it was made from."""
        return self._parameters_once

    def save_pretrained(self, *args, **kwargs) -> None:
        """Saves the network that it was made from: the trained form is the one that is kept."""
        if self._released:
            raise ValueError("this fast form has let go of the trained weights; load the network again to save it")
        self.trained[0].save_pretrained(*args, **kwargs)

    @property
    def dtype(self) -> torch.dtype:
        return self.time.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.time.weight.device

    @torch.no_grad()
    def forward(self, sample: Tensor, timestep: Tensor | float | int, token_ids: Tensor, return_dict: bool = True):
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
        times = iter(self._projections(timestep, sample, batch))
        constants = iter(self._constants(token_ids, *sample.shape[2:]))

        x = self.conv_in(sample.permute(0, 2, 3, 1).contiguous())
        skips, outputs = [repeated(x, batch)], []
        for stage in self.down_blocks:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = attention(resnet(x, next(times)[: x.shape[0]]), next(constants))
                skips.append(x)
            if stage.step is not None:
                x = stage.step(x)
                skips.append(x)
            outputs.append(x.permute(0, 3, 1, 2))
        for stage in self.up_blocks:
            for resnet, attention in zip(stage.resnets, stage.attentions, strict=True):
                x = attention(resnet(torch.cat([x, skips.pop()], dim=-1), next(times)), next(constants))
            if stage.step is not None:
                x = stage.step(x)
            outputs.append(x.permute(0, 3, 1, 2))
        x = self.conv_out(F.silu(self.norm_out(x))).permute(0, 3, 1, 2).contiguous()  # (B, 4, h, w)
        return MoebiusUNetOutput(sample=x, block_outputs=tuple(outputs)) if return_dict else (x, tuple(outputs))

    def _projections(self, timestep: Tensor | float | int, sample: Tensor, batch: int) -> tuple[Tensor, ...]:
        """Every block's projection of the time embedding, (batch, out) each; (1, out) where the time is one number."""
        (network,) = self.trained
        if torch.as_tensor(timestep).numel() > 1:
            time = repeated(network.embed_time(timestep, sample), batch)
            return self.time(F.silu(time)).split(self.time_widths, dim=-1)
        moment = float(timestep)
        if moment not in self._times:
            if len(self._times) >= _MOMENTS:
                self._times.clear()
            self._times[moment] = self.time(F.silu(network.embed_time(moment, sample[:1])))
        return self._times[moment].split(self.time_widths, dim=-1)

    def _constants(self, token_ids: Tensor, height: int, width: int) -> list[Constants]:
        """What every Interactive-λ keeps for these conditions and this grid; the last ones are remembered."""
        key = (tuple(map(tuple, token_ids.tolist())), height, width)
        if self._kept is None or self._kept[0] != key:
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
            self._kept = (key, values)
        return self._kept[1]


def _release(module: nn.Module) -> None:
    """Move parameters to the meta device, but those that Interactive-λ makes constants of."""
    if isinstance(module, lambda_layers.InteractiveLambda):
        module.to_q, module.norm_q = module.to_q.to("meta"), module.norm_q.to("meta")
        return
    for child in module.children():
        _release(child)
    if not any(True for _ in module.children()):
        module.to("meta")
