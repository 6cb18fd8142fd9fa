"""The autoencoder on patches: what it is to its parent, its files, its place in a pipeline."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from fill import normal, picture
from PIL import Image

from moebius import weights
from moebius.inpainters.denoiser import DenoiserInpainter, load_autoencoder
from moebius.models.patch_autoencoder import PatchAutoencoder, patch_size, pixels_per_latent
from moebius.models.unet import MoebiusUNet
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.training import autoencoder

SIZES = {"patch_size": 2, "block_out_channels": [8, 8], "latent_channels": 3, "layers_per_block": 1,
         "norm_num_groups": 4}  # fmt: skip


def test_it_is_its_parent_on_squares_of_pixels():
    made = autoencoder.build(SIZES, seed=1)
    assert type(made) is PatchAutoencoder and made.config.in_channels == 12
    parent = AutoencoderKL.from_config(made.config)
    parent.load_state_dict(made.state_dict())
    pictures = normal(1, 2, 3, 12, 16)
    squares = pictures.reshape(2, 3, 6, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 6, 8)  # by hand
    latents = made.encode(pictures).latent_dist.mean
    assert latents.shape == (2, 3, 3, 4)
    torch.testing.assert_close(latents, parent.encode(squares).latent_dist.mean)
    direct = parent.decode(latents).sample.reshape(2, 3, 2, 2, 6, 8).permute(0, 1, 4, 2, 5, 3).reshape(2, 3, 12, 16)
    torch.testing.assert_close(made.decode(latents).sample, direct)
    torch.testing.assert_close(made.decode(latents, return_dict=False)[0], direct)


def test_pixels_per_latent_come_from_the_configuration():
    assert pixels_per_latent(autoencoder.build(SIZES, seed=1).config) == 4
    assert pixels_per_latent({"in_channels": 3, "out_channels": 3, "block_out_channels": [1] * 4}) == 8
    assert patch_size({"in_channels": 48, "out_channels": 48}) == 4
    with pytest.raises(ValueError, match="got 5 and 5"):
        patch_size({"in_channels": 5, "out_channels": 5})
    with pytest.raises(ValueError, match="got 12 and 3"):
        patch_size({"in_channels": 12, "out_channels": 3})


def test_a_pipeline_with_it_is_written_read_and_fills_alike(tmp_path):
    """As training leaves it; read as page and command line do, in its fast form, and as diffusers does."""
    vae = autoencoder.build(SIZES, seed=1).eval()
    torch.manual_seed(2)
    unet = MoebiusUNet(
        sample_size=8, in_channels=7, out_channels=3, block_out_channels=(16, 32), layers_per_block=1,
        num_attention_heads=2, norm_num_groups=8, cross_attention_dim=16, encoder_hid_dim=16, local_window=3,
        prediction_type="v_prediction",
    ).eval()  # fmt: skip
    pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(tmp_path)
    files = weights.locate(None, tmp_path)
    assert isinstance(load_autoencoder(files, "cpu", torch.float32), PatchAutoencoder)
    image, mask = Image.fromarray(picture(3, 32)), np.zeros((32, 32), bool)
    mask[8:20, 10:24] = True

    def filled(pipe):
        pipe.set_progress_bar_config(disable=True)
        return pipe(
            image=image, mask_image=mask, num_inference_steps=3, generator=torch.Generator().manual_seed(0),
            output_type="np", paste=False,
        ).images  # fmt: skip

    model = DenoiserInpainter.from_files(files, "cpu", "float32")
    assert model.size == 32
    expected = filled(pipeline)
    np.testing.assert_allclose(filled(model.pipeline), expected, atol=1e-4)
    again = MoebiusInpaintPipeline.from_pretrained(tmp_path)
    assert type(again.vae) is PatchAutoencoder
    np.testing.assert_array_equal(filled(again), expected)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++", "unipc", "euler"])
def test_a_network_of_v_gives_what_the_same_network_of_noise_gives(sampler):
    """Networks that know the truth, told in three ways, walk alike under every sampler."""
    torch.manual_seed(0)
    vae = autoencoder.build(SIZES, seed=1).eval()
    alphas = make_scheduler().alphas_cumprod
    truth = normal(5, 1, 3, 8, 8)

    class Knows(MoebiusUNet):
        """Gives x_0 = `truth` away, in the words of its prediction type."""

        def forward(self, sample, timestep, token_ids, return_dict=True):
            alpha = alphas[int(timestep)]
            noised = sample[:, :3]
            noise = (noised - alpha.sqrt() * truth) / (1 - alpha).sqrt()
            kinds = {"epsilon": noise, "sample": truth.expand_as(noised),
                     "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * truth}  # fmt: skip
            return (kinds[self.config.prediction_type],)

    found = {}
    for kind in ("epsilon", "v_prediction", "sample"):
        unet = Knows(sample_size=8, in_channels=7, out_channels=3, block_out_channels=(16, 32), norm_num_groups=8,
                     num_attention_heads=2, prediction_type=kind)  # fmt: skip
        pipeline = MoebiusInpaintPipeline(unet=unet.eval(), vae=vae, scheduler=make_scheduler(sampler))
        pipeline.set_progress_bar_config(disable=True)
        mask = np.zeros((32, 32), bool)
        mask[8:20, 10:24] = True
        found[kind] = pipeline(
            image=Image.fromarray(picture(3, 32)), mask_image=mask, num_inference_steps=6,
            generator=torch.Generator().manual_seed(0), output_type="latent",
        ).images  # fmt: skip
    for latents in found.values():
        torch.testing.assert_close(latents, found["epsilon"], atol=2e-3, rtol=2e-3)
    if sampler != "euler":
        torch.testing.assert_close(found["sample"], truth, atol=0.2, rtol=0.2)
