"""A tiny SAM 2 with random weights, of the real class and in the published file's layout:
`python -m tests.helpers.standin_select DIR`.
The whole path of the real one runs with it; what it selects means nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.helpers.deterministic import fill_

SIDE = 128
"""Of the pictures that it sees, in pixels."""


def write_selector(folder: Path) -> Path:
    """Write the network to `folder` and return it. As published, it is the one for videos."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    width = 32
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 3, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3],
    }
    config = Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
            "fpn_hidden_size": width,
        },
        prompt_encoder_config={"hidden_size": width, "image_size": SIDE},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 64,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": width,
        },
        image_size=SIDE,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[SIDE // 16, SIDE // 16],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=width,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=64,
    )
    fill_(Sam2VideoModel(config)).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    write_selector(Path(sys.argv[1]))
