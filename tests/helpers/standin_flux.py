"""A tiny FLUX.1 Fill with random weights in diffusers layout, every part of the real classes:
`python -m tests.helpers.standin_flux DIR`. The whole path of the real one runs with it; the fills are noise."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.helpers.deterministic import seeded

SIDE = 64
"""Of its squares, in pixels."""


@seeded(0)
def write_flux(folder: Path) -> Path:
    """Write the pipeline to `folder` and return it."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxFillPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    latent = 4
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=2 * 4 * latent + 4 * 64,  # noisy and masked latents in 2 × 2 patches, the mask's 8 × 8 pixels
        out_channels=4 * latent,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        latent_channels=latent,
        sample_size=SIDE,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
    )
    size = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    clip = CLIPTextModel(CLIPTextConfig(vocab_size=600, eos_token_id=2, bos_token_id=0, projection_dim=32, **size))
    t5 = T5EncoderModel(T5Config(vocab_size=300, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2))
    FluxFillPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=clip,
        tokenizer=_clip_tokenizer(),
        text_encoder_2=t5,
        tokenizer_2=_t5_tokenizer(),
        transformer=transformer,
    ).to(torch.bfloat16).save_pretrained(folder)
    return folder


def _clip_tokenizer():
    """Byte by byte, without a merge."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = ["<|startoftext|>", "<|pad|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def _t5_tokenizer():
    """Letter by letter."""
    from transformers import T5TokenizerFast

    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?-'"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in letters)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


if __name__ == "__main__":
    write_flux(Path(sys.argv[1]))
