"""PixelHackerUNet, the teacher that the student was distilled from (arXiv:2504.20438): 862.3 M parameters.

diffusers' conditional U-Net with every self-attention replaced by gated linear attention.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from moebius.config import PIXELHACKER_DEFAULTS
from moebius.models.gla import KERNELS, GatedLinearAttention

PUBLISHED_RENAMES = (("diff_model.", "unet."), ("embedding_layer.", "token_table."))
"""(published, ours): parts of parameter names."""


@dataclass
class PixelHackerUNetOutput(BaseOutput):
    """sample: (B, 4, h, w) predicted noise ε. block_outputs: the down stages' outputs (after their downsamplers), the
    middle's, the up stages' (after their upsamplers)."""

    sample: Tensor
    block_outputs: tuple[Tensor, ...]


class PixelHackerUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in latents around a hole; called like `MoebiusUNet`, with the same ten learned tokens.

    Args:
        sample_size: side of the latent grid it was trained on (64 for 512 × 512 pictures); any other works.
        in_channels: noisy latents (4), mask (1; 1 = hole), latents of the masked picture (4).
        out_channels: predicted noise.
        block_out_channels: widths of the stages; the last has no attention.
        layers_per_block: of a down stage; an up stage has one more.
        num_attention_heads: of gated linear and cross-attention alike.
        cross_attention_dim: width of a projected condition token.
        encoder_hid_dim: width of a row of the token table.
        num_tokens: tokens of one condition.
        num_token_ids: rows of the token table.
        norm_num_groups: groups of every GroupNorm.
    """

    model_name = "pixelhacker"
    defaults = PIXELHACKER_DEFAULTS
    _supports_gradient_checkpointing = True
    _no_split_modules = ["BasicTransformerBlock", "ResnetBlock2D"]

    @register_to_config
    def __init__(
        self,
        sample_size: int = 64,
        in_channels: int = 9,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        num_attention_heads: int = 8,
        cross_attention_dim: int = 768,
        encoder_hid_dim: int = 3072,
        num_tokens: int = 10,
        num_token_ids: int = 20,
        norm_num_groups: int = 32,
    ):
        super().__init__()
        attended = len(block_out_channels) - 1
        self.token_table = nn.Embedding(num_token_ids, encoder_hid_dim)
        self.unet = UNet2DConditionModel(
            sample_size=sample_size,
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=("CrossAttnDownBlock2D",) * attended + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * attended,
            block_out_channels=tuple(block_out_channels),
            layers_per_block=layers_per_block,
            attention_head_dim=num_attention_heads,  # diffusers' name for the number of heads
            cross_attention_dim=cross_attention_dim,
            encoder_hid_dim=encoder_hid_dim,
            encoder_hid_dim_type="text_proj",
            norm_num_groups=norm_num_groups,
        )
        for block in self.modules():
            if isinstance(block, BasicTransformerBlock):
                block.attn1 = GatedLinearAttention(block.dim, num_attention_heads)

    def forward(
        self, sample: Tensor, timestep: Tensor | float | int, token_ids: Tensor, return_dict: bool = True
    ) -> PixelHackerUNetOutput | tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the noise.

        Args:
            sample: (B, 9, h, w) noisy latents, mask, latents of the masked picture.
            timestep: a number, or (B,) one per sample, in [0, 1000).
            token_ids: (B, 10) int64, rows of the token table: `BACKGROUND_IDS` or `FOREGROUND_IDS` of
                `moebius.models.unet`.
        """
        if sample.ndim != 4 or sample.shape[1] != self.config.in_channels:
            raise ValueError(f"sample must be (B, {self.config.in_channels}, h, w), got shape {tuple(sample.shape)}")
        if token_ids.shape != (sample.shape[0], self.config.num_tokens):
            raise ValueError(
                f"token_ids must be ({sample.shape[0]}, {self.config.num_tokens}) for this sample, "
                f"got shape {tuple(token_ids.shape)}"
            )
        unet = self.unet
        time = unet.time_embedding(unet.get_time_embed(sample, timestep))  # (B, 4 · first width)
        context = unet.encoder_hid_proj(self.token_table(token_ids))  # (B, 10, 768)

        # channels-last pictures lose digits in torch's GroupNorm on a CPU
        x = unet.conv_in(sample.contiguous())  # (B, 9, h, w) -> (B, 320, h, w)
        skips, outputs = [x], []
        for stage in unet.down_blocks:
            x, stage_skips = stage(x, time, **_condition(stage, context))
            skips += stage_skips
            outputs.append(x)
        x = unet.mid_block(x, time, encoder_hidden_states=context)
        outputs.append(x)
        for stage in unet.up_blocks:
            used, skips = skips[-len(stage.resnets) :], skips[: -len(stage.resnets)]
            size = skips[-1].shape[-2:] if skips else None  # what the next stage's skips measure, for odd grids
            x = stage(x, tuple(used), time, upsample_size=size, **_condition(stage, context))
            outputs.append(x)
        x = unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))  # (B, 4, h, w)

        if not return_dict:
            return x, tuple(outputs)
        return PixelHackerUNetOutput(sample=x, block_outputs=tuple(outputs))

    def set_attention_kernel(self, kernel: str) -> None:
        """`torch` runs anywhere and is the default; `fla` is flash-linear-attention's, for CUDA, where installed."""
        if kernel not in KERNELS:
            raise ValueError(f"unknown kernel {kernel!r}; choose from {', '.join(KERNELS)}")
        for module in self.modules():
            if isinstance(module, GatedLinearAttention):
                module.kernel = kernel


def _condition(stage: nn.Module, context: Tensor) -> dict[str, Tensor]:
    """The stages without cross-attention do not take it."""
    return {"encoder_hidden_states": context} if getattr(stage, "has_cross_attention", False) else {}
