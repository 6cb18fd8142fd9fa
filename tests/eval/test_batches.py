"""The student in batches: every picture keeps its own randomness, and costs are counted on the real network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eval import contestants, generate
from moebius.config import STUDENT_DEFAULTS, SamplingConfig
from moebius.masks import make
from tests.helpers.synthetic import picture

DATA = Path(__file__).parents[1] / "data"
MASKS = tuple(make("object", seed, 64) for seed in range(3))
PICTURES = tuple(picture(seed) for seed in range(3))


@pytest.fixture(scope="module")
def student():
    """A tiny student of random weights for squares of 64×64."""
    from diffusers import AutoencoderKL

    from moebius.inpainters.diffusion import DenoiserInpainter
    from moebius.models.unet import MoebiusUNet
    from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = MoebiusUNet(sample_size=8, block_out_channels=[32, 64, 128], cross_attention_dim=32, encoder_hid_dim=48)
        vae = AutoencoderKL(**json.loads((DATA / "tiny_vae_config.json").read_text()))
    pipeline = MoebiusInpaintPipeline(unet=unet.eval(), vae=vae.eval(), scheduler=make_scheduler())
    return DenoiserInpainter(pipeline)


@pytest.mark.parametrize("recipe", ["photo", "published"])
def test_a_batch_fills_as_its_pictures_would_alone(student, recipe):
    config = SamplingConfig(recipe=recipe, num_inference_steps=3).with_defaults(STUDENT_DEFAULTS)
    together = generate.fill_chunk(student, PICTURES, MASKS, config, 11)
    for index, batched in enumerate(together):
        part = slice(index, index + 1)
        alone = generate.fill_chunk(student, PICTURES[part], MASKS[part], config, 11)[0]
        assert np.abs(batched.astype(int) - alone).max() <= 1
        assert not np.array_equal(batched, together[index - 1])


def test_the_published_recipe_is_pasted_as_the_pipeline_does_it(student):
    config = SamplingConfig(recipe="published", num_inference_steps=3).with_defaults(STUDENT_DEFAULTS)
    (ours,) = generate.fill_chunk(student, PICTURES[:1], MASKS[:1], config, 11)
    theirs = student.pipeline(
        PICTURES[0],
        MASKS[0],
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(11),
        recipe="published",
    ).images[0]
    np.testing.assert_allclose(ours.astype(int), np.asarray(theirs).astype(int), atol=1)


def test_a_sampler_that_starts_from_the_picture_is_told_of(student):
    published, photo = (
        contestants.of({"moebius": student}, SamplingConfig(recipe=recipe).with_defaults(STUDENT_DEFAULTS))[0]
        for recipe in ("published", "photo")
    )
    assert published.sees_truth() and not photo.sees_truth()
    assert "recipe published, strength 0.99, 20 steps, guidance 2, ddim" == published.settings()["text"]
    assert published.parameters == sum(
        weight.numel() for part in (student.pipeline.unet, student.pipeline.vae) for weight in part.parameters()
    )
