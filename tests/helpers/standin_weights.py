"""Write stand-in weights in the published layout, random but fixed:
`python -m tests.helpers.standin_weights DIR [--small] [--network pixelhacker]`.

DIR/ft_places2/diffusion_pytorch_model.bin   the student or PixelHacker, published keys and shapes, half precision
DIR/vae/config.json, diffusion_pytorch_model.bin   the autoencoder, half precision

The whole path from published files to a filled photo runs with them; the fills are noise. `--small`: a
student of 0.4 M parameters (a `config.json` beside it says so) and a small autoencoder, for tests.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from tests.helpers.deterministic import values

DATA = Path(__file__).parents[1] / "data"
FOLDERS = {"pretrained": "pretrained", "places2": "ft_places2", "celebahq": "ft_celebahq", "ffhq": "ft_ffhq"}
VECTORS_STUDENT = {
    "sample_size": 64,
    "block_out_channels": [32, 64, 128],
    "cross_attention_dim": 32,
    "encoder_hid_dim": 48,
}
"""The student that the vectors of data/moebius_pipeline.npz were computed with, 3.7 M parameters."""
SMALL_STUDENT = {
    "sample_size": 64,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "num_attention_heads": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 16,
    "encoder_hid_dim": 24,
    "local_window": 7,
}
AUTOENCODER = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "scaling_factor": 0.13025,
    "sample_size": 512,
    "act_fn": "silu",
    "force_upcast": False,
}

SMALL_AUTOENCODER = AUTOENCODER | {"block_out_channels": [8, 8, 16, 16], "layers_per_block": 1, "norm_num_groups": 8}
SMALL_PIXELHACKER = {
    "sample_size": 16,
    "block_out_channels": [32, 64, 128, 128],
    "cross_attention_dim": 32,
    "encoder_hid_dim": 48,
}


def pixelhacker_state(small: bool, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """PixelHacker's state dict under its published keys."""
    name = "pixelhacker_small_state_dict.json" if small else "pixelhacker_state_dict.json"
    return {key: _tensor(key, shape, dtype) for key, shape in json.loads((DATA / name).read_text()).items()}


def student_state(small: bool, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """The student's state dict under its published keys."""
    if small:
        return _state(SMALL_STUDENT, dtype)
    shapes = json.loads((DATA / "moebius_state_dict.json").read_text())
    return {key: _tensor(key, shape, dtype) for key, shape in shapes.items()}


def vectors_student_state() -> dict[str, torch.Tensor]:
    """Of `VECTORS_STUDENT`, whose keys and shapes are listed for a grid of 16."""
    shapes = json.loads((DATA / "moebius_small_state_dict.json").read_text())
    return {
        key: _tensor(key, [16 * shape[0], *shape[1:]] if key.endswith("rel_pos_emb") else shape, torch.float32)
        for key, shape in shapes.items()
    }


def _state(config: dict, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The state dict of a student with `config`, under published keys."""
    from moebius.models.unet import PUBLISHED_RENAMES, MoebiusUNet

    def published(key: str) -> str:
        for theirs, ours in reversed(PUBLISHED_RENAMES[1:]):
            key = key.replace(ours, theirs)
        return key if key.startswith("embedding_layer.") else f"diff_model.{key}"

    with torch.device("meta"):
        shapes = {published(key): tensor.shape for key, tensor in MoebiusUNet(**config).state_dict().items()}
    return {key: _tensor(key, shape, dtype) for key, shape in shapes.items()}


def autoencoder_state(config: dict, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """The state dict of diffusers' AutoencoderKL with `config`, under diffusers' keys."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        model = AutoencoderKL(**config)
    return {key: _tensor(key, tensor.shape, dtype) for key, tensor in model.state_dict().items()}


def write_published(
    folder: Path, small: bool = False, variants: tuple[str, ...] = ("places2",), network: str = "moebius"
) -> Path:
    """Write the stand-in weights of a network, `moebius` or `pixelhacker`, to `folder` and return it."""
    state = student_state(small) if network == "moebius" else pixelhacker_state(small)
    for variant in variants:
        student = folder / FOLDERS[variant]
        student.mkdir(parents=True, exist_ok=True)
        torch.save(state, student / "diffusion_pytorch_model.bin")
        if small:
            (student / "config.json").write_text(
                json.dumps(SMALL_STUDENT if network == "moebius" else SMALL_PIXELHACKER)
            )
    config = SMALL_AUTOENCODER if small else AUTOENCODER
    (folder / "vae").mkdir(parents=True, exist_ok=True)
    (folder / "vae" / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL", **config}))
    torch.save(autoencoder_state(config), folder / "vae" / "diffusion_pytorch_model.bin")
    return folder


def _tensor(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.as_tensor(values(key, tuple(shape)))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--variant", choices=FOLDERS, default="places2")
    parser.add_argument("--network", choices=("moebius", "pixelhacker"), default="moebius")
    options = parser.parse_args()
    write_published(options.folder, options.small, (options.variant,), options.network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
