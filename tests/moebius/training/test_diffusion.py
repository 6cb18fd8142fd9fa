"""Noise: the schedule against its formula, draws that belong to a sample and to nothing else."""

import numpy as np
import pytest
import torch

from moebius.training.config import Noise
from moebius.training.diffusion import Schedule, draw
from tests.helpers.deterministic import normal

SHAPE = (4, 8, 8)


def alphas() -> np.ndarray:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return np.cumprod(1 - betas)


def test_noising_follows_the_published_schedule():
    latents, noise, steps = normal(1, 3, *SHAPE), normal(2, 3, *SHAPE), torch.tensor([0, 500, 999])
    noised = Schedule().noised(latents, noise, steps)
    for row, step in enumerate(steps):
        a = alphas()[step]
        direct = np.sqrt(a) * latents[row].numpy() + np.sqrt(1 - a) * noise[row].numpy()
        np.testing.assert_allclose(noised[row].numpy(), direct, atol=2e-5)


def test_the_true_noise_implies_the_true_latents():
    latents, noise, steps = normal(1, 3, *SHAPE), normal(2, 3, *SHAPE), torch.tensor([3, 400, 990])
    schedule = Schedule()
    torch.testing.assert_close(
        schedule.denoised(schedule.noised(latents, noise, steps), noise, steps), latents, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_predictions_of_every_kind_mean_what_the_samplers_take_them_for(kind):
    """The true target, given to diffusers' DDIM as a prediction, is taken for the true latents; ours agrees."""
    from moebius.pipeline import make_scheduler

    latents, noise, schedule = normal(1, 3, *SHAPE), normal(2, 3, *SHAPE), Schedule()
    scheduler = make_scheduler()
    scheduler.register_to_config(prediction_type=kind)
    scheduler.set_timesteps(1000)
    for step in (3, 400, 950):
        steps = torch.full((3,), step)
        noised = schedule.noised(latents, noise, steps)
        target = schedule.target(latents, noise, steps, kind)
        torch.testing.assert_close(schedule.denoised(noised, target, steps, kind), latents, atol=1e-4, rtol=1e-4)
        implied = scheduler.step(target, step, noised).pred_original_sample
        torch.testing.assert_close(implied, latents, atol=1e-4, rtol=1e-4)


def test_a_samples_draws_do_not_depend_on_its_batch():
    whole, half = draw([7, 8, 9, 10], SHAPE, Noise()), draw([9, 10], SHAPE, Noise())
    for name in ("posterior", "noise", "timesteps"):
        assert torch.equal(getattr(whole, name)[2:], getattr(half, name))
    assert not torch.equal(whole.noise[0], whole.noise[1])


def test_timesteps_are_log_normal():
    steps = draw(list(range(4000)), (1, 1, 1), Noise()).timesteps.double() / 1000
    assert (steps >= 0).all() and (steps < 1).all()
    # quartiles of sigmoid(N(0, 1)): sigmoid(±0.67449)
    quartiles = np.quantile(steps.numpy(), [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quartiles, [0.3375, 0.5, 0.6625], atol=0.02)


def test_noise_offset_adds_its_variance_to_a_channels_mean():
    plain = draw(list(range(2000)), (1, 4, 4), Noise(offset=0.0)).noise.mean(dim=(1, 2, 3))
    shifted = draw(list(range(2000)), (1, 4, 4), Noise(offset=0.5)).noise.mean(dim=(1, 2, 3))
    assert plain.var().item() == pytest.approx(1 / 16, rel=0.1)
    assert shifted.var().item() == pytest.approx(1 / 16 + 0.25, rel=0.1)
