"""The autoencoder of blocks: its components, its decoder, its files, its place in a pipeline."""

import numpy as np
import pytest
import torch
from PIL import Image

from moebius.inpainters.diffusion import DenoiserInpainter
from moebius.inpainters.networks import load_autoencoder
from moebius.models.block_autoencoder import BlockAutoencoder, pixels_per_latent
from moebius.models.unet import MoebiusUNet
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.training import autoencoder
from moebius.weights import locate
from tests.helpers.deterministic import normal, picture, seeded

SIZES = {"block_size": 4, "latent_channels": 3, "refiner_channels": 8, "refiner_layers": 2}


def pictures(count: int = 12) -> torch.Tensor:
    return torch.stack([torch.from_numpy(picture(seed, 32)) for seed in range(count)]).permute(0, 3, 1, 2) / 127.5 - 1


def fitted(**changes) -> BlockAutoencoder:
    made = autoencoder.build(SIZES | changes, seed=1)
    made.fit(pictures())
    return made.eval()


def psnr(made: torch.Tensor, truth: torch.Tensor) -> float:
    return -10 * ((made - truth) / 2).square().mean().log10().item()


def test_with_all_components_nothing_is_lost_and_with_fewer_the_least_a_linear_map_can():
    truth = pictures()
    whole = fitted(latent_channels=48)
    torch.testing.assert_close(whole.decode(whole.encode(truth).latent_dist.mean).sample, truth, atol=1e-4, rtol=0)
    few = fitted()
    blocks = truth.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 48).double()
    lost = torch.linalg.svdvals(blocks - blocks.mean(0))[3:].square().sum() / blocks.numel()  # Eckart & Young 1936
    error = (few.decode(few.encode(truth).latent_dist.mean).sample - truth).square().mean()
    assert error.item() == pytest.approx(lost.item(), rel=1e-3)


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_latents_have_a_mean_of_zero_and_the_asked_share_of_their_deviation(whitening):
    """For each component apart, and over all of them a variance of 1."""
    latents = fitted(whitening=whitening).encode(pictures()).latent_dist.mean.transpose(0, 1).flatten(1)
    plain = fitted(whitening=0.0).encode(pictures()).latent_dist.mean.transpose(0, 1).flatten(1)
    torch.testing.assert_close(latents.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
    wanted = plain.std(1) ** (1 - whitening)
    torch.testing.assert_close(latents.std(1) / latents.std(1)[0], wanted / wanted[0], atol=1e-3, rtol=1e-3)
    assert latents.square().mean().item() == pytest.approx(1, abs=1e-3)


def test_latents_are_noisy_while_the_decoder_learns_and_at_no_other_time():
    made = fitted(latent_std=0.125)
    assert (made.encode(pictures(2)).latent_dist.std == 0).all()
    torch.testing.assert_close(made.train().encode(pictures(2)).latent_dist.std, torch.full((2, 3, 8, 8), 0.125))


def test_a_place_of_a_picture_does_not_depend_on_far_ones():
    made = fitted()
    torch.nn.init.normal_(made.decoder.conv_out.weight)
    whole = normal(1, 1, 3, 16, 16)
    part = made.decode(whole[..., :8, :8]).sample  # (1, 3, 32, 32), six convolutions of 4 pixels a position
    torch.testing.assert_close(made.decode(whole).sample[..., :8, :8], part[..., :8, :8], atol=1e-4, rtol=1e-4)


def test_sizes_that_cannot_be_are_refused():
    for change, message in (
        ({"block_size": 0}, "block_size must be a multiple of 4, got 0"),
        ({"latent_channels": 49}, r"latent_channels must be in \[1, 48\], got 49"),
        ({"whitening": 1.5}, r"whitening must be in \[0, 1\], got 1.5"),
        ({"latent_std": 0.0}, "latent_std must be above 0, got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            BlockAutoencoder(**(SIZES | change))
    with pytest.raises(ValueError, match="4 blocks are too few for the components of 48 numbers"):
        autoencoder.build(SIZES, seed=1).fit([torch.zeros(3, 8, 8)])


def test_pixels_per_latent_come_from_the_configuration():
    assert pixels_per_latent(autoencoder.build(SIZES, seed=1).config) == 4
    assert pixels_per_latent({"block_out_channels": [1] * 4}) == 8


@seeded(2)
def test_a_pipeline_with_it_is_written_read_and_fills_alike(tmp_path):
    """As training leaves it; read as page and command line do, in its fast form, and as diffusers does."""
    vae = fitted()
    unet = MoebiusUNet(
        sample_size=8,
        in_channels=7,
        out_channels=3,
        block_out_channels=(16, 32),
        layers_per_block=1,
        num_attention_heads=2,
        norm_num_groups=8,
        cross_attention_dim=16,
        encoder_hid_dim=16,
        local_window=3,
        prediction_type="sample",
    ).eval()
    pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(tmp_path)
    files = locate.locate(None, tmp_path)
    assert isinstance(load_autoencoder(files, "cpu", torch.float32), BlockAutoencoder)
    image, mask = Image.fromarray(picture(3, 32)), np.zeros((32, 32), bool)
    mask[8:20, 10:24] = True

    def filled(pipe):
        pipe.set_progress_bar_config(disable=True)
        return pipe(
            image=image,
            mask_image=mask,
            num_inference_steps=3,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
            paste=False,
        ).images

    model = DenoiserInpainter.from_files(files, "cpu", "float32")
    assert model.size == 32
    expected = filled(pipeline)
    np.testing.assert_allclose(filled(model.pipeline), expected, atol=1e-4)
    again = MoebiusInpaintPipeline.from_pretrained(tmp_path)
    assert type(again.vae) is BlockAutoencoder
    np.testing.assert_array_equal(filled(again), expected)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++", "unipc", "euler"])
@seeded(0)
def test_a_network_of_v_gives_what_the_same_network_of_noise_gives(sampler):
    """Networks that know the truth, told in three ways, walk alike under every sampler."""
    vae = fitted()
    alphas = make_scheduler().alphas_cumprod
    truth = normal(5, 1, 3, 8, 8)

    class Knows(MoebiusUNet):
        """Gives x_0 = `truth` away, in the words of its prediction type."""

        def forward(self, sample, timestep, token_ids, return_dict=True):
            alpha = alphas[int(timestep)]
            noised = sample[:, :3]
            noise = (noised - alpha.sqrt() * truth) / (1 - alpha).sqrt()
            kinds = {
                "epsilon": noise,
                "sample": truth.expand_as(noised),
                "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * truth,
            }
            return (kinds[self.config.prediction_type],)

    found = {}
    for kind in ("epsilon", "v_prediction", "sample"):
        unet = Knows(
            sample_size=8,
            in_channels=7,
            out_channels=3,
            block_out_channels=(16, 32),
            norm_num_groups=8,
            num_attention_heads=2,
            prediction_type=kind,
        )
        pipeline = MoebiusInpaintPipeline(unet=unet.eval(), vae=vae, scheduler=make_scheduler(sampler))
        pipeline.set_progress_bar_config(disable=True)
        mask = np.zeros((32, 32), bool)
        mask[8:20, 10:24] = True
        found[kind] = pipeline(
            image=Image.fromarray(picture(3, 32)),
            mask_image=mask,
            num_inference_steps=6,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        ).images
    for latents in found.values():
        torch.testing.assert_close(latents, found["epsilon"], atol=2e-3, rtol=2e-3)
    if sampler != "euler":
        torch.testing.assert_close(found["sample"], truth, atol=0.2, rtol=0.2)
