"""MoebiusUNet, the student's denoiser (arXiv:2606.19195): 226.0 M parameters at the published size.

Names of parameters are the published checkpoint's without the prefix `diff_model.`, and with
`PUBLISHED_RENAMES` applied in order; shapes are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from moebius.config import STUDENT_DEFAULTS
from moebius.models.blocks import DownStage, ResidualBlock, SeparableConv, Transformer, Upsampler, UpStage

if TYPE_CHECKING:
    from moebius.models.fused.unet import FusedMoebiusUNet

PUBLISHED_RENAMES = (
    ("diff_model.", ""),
    ("embedding_layer.", "token_table."),
    (".transformer_blocks.0.", ".block."),
    (".attn1.", ".local_lambda."),
    (".attn2.", ".interactive_lambda."),
    (".ff.inverted_conv.conv.", ".ff.expand."),
    (".ff.depth_conv.conv.", ".ff.depthwise."),
    (".ff.point_conv.conv.", ".ff.project."),
    (".downsamplers.0.conv.", ".downsampler."),
    (".upsamplers.0.conv.", ".upsampler."),
)
"""(published, ours): parts of parameter names, each replaced where it occurs."""

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")

BACKGROUND_IDS = tuple(range(10))
"""Rows of the token table that ask for background: the conditional branch of guidance."""
FOREGROUND_IDS = tuple(range(10, 20))
"""Rows that ask for an object: the negative branch."""


@dataclass
class MoebiusUNetOutput(BaseOutput):
    """sample: (B, 4, h, w) predicted noise ε. block_outputs: three down stages' outputs (after their downsamplers),
    then three up stages' (after their upsamplers)."""

    sample: Tensor
    block_outputs: tuple[Tensor, ...]


class MoebiusUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in latents around a hole; the condition is ten learned tokens, there is no text.

    Args:
        sample_size: side of the latent grid whose position tables are exact (64 for 512 × 512 pictures). Other grids,
            non-square ones too, interpolate the tables; the paper has none of that.
        in_channels: noisy latents (4), mask (1; 1 = hole), latents of the masked picture (4).
        out_channels: predicted noise.
        block_out_channels: widths of the stages, each divisible by `num_attention_heads` and `norm_num_groups`.
        layers_per_block: pairs of residual block and transformer in a down stage; an up stage has one more.
        num_attention_heads: heads of every λ layer.
        cross_attention_dim: width of a projected condition token.
        encoder_hid_dim: width of a row of the token table.
        num_tokens: tokens of one condition.
        num_token_ids: rows of the token table.
        ffn_ratio: width of the feed-forward after its gate, as a multiple of the stage's.
        local_window: side of Local-λ's window, odd.
        norm_num_groups: groups of every GroupNorm.
        prediction_type: what the output is, in diffusers' words: "epsilon" (published), "v_prediction" or "sample". The
            pipeline tells its scheduler.
    """

    model_name = "moebius"
    defaults = STUDENT_DEFAULTS
    _supports_gradient_checkpointing = True
    _no_split_modules = ["ResidualBlock", "Transformer"]

    @register_to_config
    def __init__(
        self,
        sample_size: int = 64,
        in_channels: int = 9,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280),
        layers_per_block: int = 2,
        num_attention_heads: int = 8,
        cross_attention_dim: int = 768,
        encoder_hid_dim: int = 3072,
        num_tokens: int = 10,
        num_token_ids: int = 20,
        ffn_ratio: float = 2.5,
        local_window: int = 15,
        norm_num_groups: int = 32,
        prediction_type: str = "epsilon",
    ):
        super().__init__()
        if prediction_type not in PREDICTION_TYPES:
            raise ValueError(f"prediction_type must be one of {', '.join(PREDICTION_TYPES)}, got {prediction_type!r}")
        for width in block_out_channels:
            if width % num_attention_heads or width % norm_num_groups:
                raise ValueError(
                    f"block_out_channels must be divisible by num_attention_heads ({num_attention_heads}) and "
                    f"norm_num_groups ({norm_num_groups}), got {width}"
                )
        if local_window % 2 == 0:
            raise ValueError(f"local_window must be odd, got {local_window}")
        stages = len(block_out_channels)
        if sample_size % 2 ** (stages - 1):
            raise ValueError(f"sample_size must be divisible by {2 ** (stages - 1)}, got {sample_size}")
        first, time_channels = block_out_channels[0], 4 * block_out_channels[0]

        def pair(in_channels: int, level: int) -> tuple[ResidualBlock, Transformer]:
            width, side = block_out_channels[level], sample_size // 2**level
            resnet = ResidualBlock(in_channels, width, time_channels, norm_num_groups)
            transformer = Transformer(
                width,
                cross_attention_dim,
                num_tokens,
                (side, side),
                heads=num_attention_heads,
                window=local_window,
                ffn_ratio=ffn_ratio,
                groups=norm_num_groups,
            )
            return resnet, transformer

        self.token_table = nn.Embedding(num_token_ids, encoder_hid_dim)
        self.encoder_hid_proj = nn.Linear(encoder_hid_dim, cross_attention_dim)
        self.time_embedding = TimestepEmbedding(first, time_channels)
        self.conv_in = SeparableConv(in_channels, first)

        skip_widths = [first]
        self.down_blocks = nn.ModuleList()
        width = first
        for level, out_width in enumerate(block_out_channels):
            pairs = [pair(width if i == 0 else out_width, level) for i in range(layers_per_block)]
            width = out_width
            skip_widths += [width] * layers_per_block
            downsampler = None
            if level < stages - 1:
                downsampler = nn.Conv2d(width, width, 3, stride=2, padding=1)
                skip_widths.append(width)
            self.down_blocks.append(DownStage(pairs, downsampler))

        self.up_blocks = nn.ModuleList()
        for level in reversed(range(stages)):
            pairs = []
            for _ in range(layers_per_block + 1):
                pairs.append(pair(width + skip_widths.pop(), level))
                width = block_out_channels[level]
            self.up_blocks.append(UpStage(pairs, Upsampler(width) if level > 0 else None))

        self.conv_norm_out = nn.GroupNorm(norm_num_groups, first, eps=1e-5)
        self.conv_out = SeparableConv(first, out_channels)

    def forward(
        self, sample: Tensor, timestep: Tensor | float | int, token_ids: Tensor, return_dict: bool = True
    ) -> MoebiusUNetOutput | tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the noise.

        Args:
            sample: (B, 9, h, w) noisy latents, mask, latents of the masked picture.
            timestep: a number, or (B,) one per sample, in [0, 1000).
            token_ids: (B, 10) int64, rows of the token table: `BACKGROUND_IDS` or `FOREGROUND_IDS`.
        """
        self.check_input(sample, token_ids)
        time = self.embed_time(timestep, sample)  # (B, 4 · first width)
        context = self.encoder_hid_proj(self.token_table(token_ids))  # (B, 10, 768)

        x = self.conv_in(sample)  # (B, 9, h, w) -> (B, 320, h, w)
        skips, outputs = [x], []
        for stage in self.down_blocks:
            x, stage_skips = stage(x, time, context)
            skips += stage_skips
            outputs.append(x)
        for stage in self.up_blocks:
            x = stage(x, skips, time, context)
            outputs.append(x)
        x = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))  # (B, 4, h, w)

        if not return_dict:
            return x, tuple(outputs)
        return MoebiusUNetOutput(sample=x, block_outputs=tuple(outputs))

    def check_input(self, sample: Tensor, token_ids: Tensor) -> None:
        """Raises ValueError for shapes that `forward` does not take."""
        if sample.ndim != 4 or sample.shape[1] != self.config.in_channels:
            raise ValueError(f"sample must be (B, {self.config.in_channels}, h, w), got shape {tuple(sample.shape)}")
        if token_ids.shape != (sample.shape[0], self.config.num_tokens):
            raise ValueError(
                f"token_ids must be ({sample.shape[0]}, {self.config.num_tokens}) for this sample, "
                f"got shape {tuple(token_ids.shape)}"
            )

    def fuse(self, release: bool = False) -> FusedMoebiusUNet:
        """The network fused for inference: same call, same result up to rounding, several times faster.

        Args:
            release: False: a copy, and this network stays as it is: train it, save it, fuse it again. True: its weights
                are freed on the way, so that both are never in memory; only the fused one can be used afterwards.

        Raises:
            ValueError: the network is in training mode.
        """
        from moebius.models.fused.unet import FusedMoebiusUNet

        if self.training:
            raise ValueError("a network in training mode cannot be fused; call eval() first")
        with torch.no_grad():
            return FusedMoebiusUNet(self, release).requires_grad_(False).eval()

    def embed_time(self, timestep: Tensor | float | int, sample: Tensor) -> Tensor:
        """Sinusoids (cosine first, no frequency shift; Vaswani 2017) through two linear layers: (B, 4 · width)."""
        timestep = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(sample.shape[0])
        waves = get_timestep_embedding(
            timestep, self.config.block_out_channels[0], flip_sin_to_cos=True, downscale_freq_shift=0
        )
        return self.time_embedding(waves.to(sample.dtype))
