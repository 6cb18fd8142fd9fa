"""The autoencoder's inference form against diffusers' own."""

import copy

import pytest
import torch
from diffusers import AutoencoderKL

from moebius.models.fused.autoencoder import fuse
from tests.helpers.deterministic import normal, seeded


@pytest.fixture(scope="module")
@seeded(0)
def trained() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[32, 64, 96],
        layers_per_block=2,
        latent_channels=4,
    ).eval()


@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_it_encodes_and_decodes_the_same(trained, batch):
    fast = fuse(copy.deepcopy(trained))
    pictures, latents = normal(1, batch, 3, 40, 48), normal(2, batch, 4, 10, 12)
    for ours, theirs in (
        (fast.encode(pictures).latent_dist.mean, trained.encode(pictures).latent_dist.mean),
        (fast.decode(latents).sample, trained.decode(latents).sample),
    ):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


def test_unfamiliar_blocks_are_refused(trained):
    other = copy.deepcopy(trained)
    other.decoder.mid_block.resnets[0].output_scale_factor = 2.0
    with pytest.raises(ValueError, match="without scale"):
        fuse(other)
