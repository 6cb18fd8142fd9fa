"""The pipeline against the published sampling, computed with the published code on filled networks."""

import copy

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moebius.files import read_json
from moebius.models.unet import MoebiusUNet
from moebius.pipeline import MoebiusInpaintPipeline, guide, make_scheduler
from moebius.weights.load import convert_student
from tests.helpers.deterministic import hole, picture
from tests.helpers.standin_weights import (
    DATA,
    SMALL_AUTOENCODER,
    SMALL_STUDENT,
    VECTORS_STUDENT,
    autoencoder_state,
    student_state,
    vectors_student_state,
    write_published,
)

VECTORS = np.load(DATA / "moebius_pipeline.npz")
PICTURES = [Image.fromarray(picture(seed, 512)) for seed in (11, 12)]
MASKS = [Image.fromarray(hole(seed, 512)) for seed in (11, 12)]


def made(student: dict, student_values: dict, autoencoder: dict) -> MoebiusInpaintPipeline:
    """In float32."""
    with torch.device("meta"):
        unet, vae = MoebiusUNet(**student), AutoencoderKL(**autoencoder)
    unet.load_state_dict(convert_student(student_values), assign=True)
    vae.load_state_dict(autoencoder_state(autoencoder, torch.float32), assign=True)
    pipeline = MoebiusInpaintPipeline(unet.eval(), vae.eval(), make_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipe() -> MoebiusInpaintPipeline:
    return made(SMALL_STUDENT, student_state(small=True, dtype=torch.float32), SMALL_AUTOENCODER)


@pytest.fixture(scope="module")
def vectors_pipe() -> MoebiusInpaintPipeline:
    """What the vectors were computed with."""
    return made(VECTORS_STUDENT, vectors_student_state(), read_json(DATA / "tiny_vae_config.json"))


@pytest.fixture(autouse=True)
def ddim(pipe):
    pipe.scheduler = make_scheduler()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def relative_error(ours: torch.Tensor, reference: np.ndarray) -> float:
    return float(np.linalg.norm(ours.numpy() - reference) / np.linalg.norm(reference))


def share_within_2(ours: np.ndarray, reference: np.ndarray) -> float:
    return float((np.abs(ours.astype(int) - reference.astype(int)) <= 2).mean())


def run_to_the_end(pipe: MoebiusInpaintPipeline, *given, **settings) -> tuple[torch.Tensor, list[Image.Image]]:
    """The last step's latents and the pictures of one run."""
    latents = []

    def keep(pipeline, step, timestep, tensors):
        latents.append(tensors["latents"])
        return tensors

    pictures = pipe(*given, generator=seeded(), recipe="published", callback_on_step_end=keep, **settings).images
    return latents[-1], pictures


@pytest.mark.slow
def test_published_recipe_gives_the_published_latents_and_pictures(vectors_pipe):
    latents, (first, second) = run_to_the_end(vectors_pipe, PICTURES, MASKS, num_inference_steps=20, guidance_scale=2.5)
    assert relative_error(latents, VECTORS["latents_a"]) < 1e-4
    assert share_within_2(np.asarray(first), VECTORS["image_a0"]) >= 0.999
    assert share_within_2(np.asarray(second)[::4, ::4], VECTORS["image_a1"]) >= 0.999


def test_published_recipe_unpasted_without_noise_offset(vectors_pipe):
    settings = dict(num_inference_steps=5, guidance_scale=4.5, noise_offset=0.0, paste=False)
    latents, (image,) = run_to_the_end(vectors_pipe, PICTURES[0], MASKS[0], **settings)
    assert relative_error(latents, VECTORS["latents_b"]) < 1e-4
    assert share_within_2(np.asarray(image)[::4, ::4], VECTORS["image_b0"]) >= 0.999


def test_latents_that_are_asked_for_are_those_of_the_last_step(pipe):
    latents, _ = run_to_the_end(pipe, PICTURES[0], MASKS[0], num_inference_steps=2)
    settings = dict(recipe="published", num_inference_steps=2, output_type="latent")
    torch.testing.assert_close(pipe(PICTURES[0], MASKS[0], generator=seeded(), **settings).images, latents)


@pytest.mark.parametrize("strength", [None, 0.5])
def test_photo_recipe_never_sees_what_lies_under_the_hole(pipe, strength):
    mask = hole(11, 512) > 0
    other = np.asarray(PICTURES[0]).copy()
    other[mask] = 255 - other[mask]
    fills = [
        pipe(
            image, MASKS[0], num_inference_steps=2, strength=strength, generator=seeded(), paste=False, output_type="np"
        ).images
        for image in (PICTURES[0], Image.fromarray(other))
    ]
    np.testing.assert_array_equal(*fills)


def test_published_recipe_does_see_it(pipe):
    """So the test above can fail."""
    other = np.asarray(PICTURES[0]).copy()
    other[hole(11, 512) > 0] = 255
    fills = [
        pipe(
            image,
            MASKS[0],
            num_inference_steps=2,
            strength=0.5,
            recipe="published",
            generator=seeded(),
            paste=False,
            output_type="np",
        ).images
        for image in (PICTURES[0], Image.fromarray(other))
    ]
    assert np.abs(fills[0] - fills[1]).max() > 0.01


def test_photo_recipe_returns_the_pictures_size_and_keeps_what_was_not_painted(pipe):
    image, mask = PICTURES[0].resize((700, 530)), MASKS[0].resize((700, 530), Image.Resampling.NEAREST)
    out = pipe(image, mask, num_inference_steps=1, feather_px=0, generator=seeded()).images[0]
    painted = np.asarray(mask) > 127
    assert out.size == image.size
    np.testing.assert_array_equal(np.asarray(out)[~painted], np.asarray(image)[~painted])
    assert (np.asarray(out)[painted] != np.asarray(image)[painted]).any(axis=1).mean() > 0.9


def test_published_recipe_scales_the_short_side_and_floors_to_64(pipe):
    image, mask = PICTURES[0].resize((700, 530)), MASKS[0].resize((700, 530))
    out = pipe(image, mask, num_inference_steps=1, recipe="published", generator=seeded()).images[0]
    assert out.size == (640, 512)  # 512 / 530 · 700 = 676 -> 640


@pytest.mark.parametrize("name", ["ddim", "dpm++", "unipc", "euler"])
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_every_scheduler_runs_the_steps_it_should(pipe, name, strength):
    pipe.scheduler, steps = make_scheduler(name), []

    def note(pipeline, step, timestep, tensors):
        steps.append(timestep)
        return tensors

    latents = pipe(
        PICTURES[0],
        MASKS[0],
        num_inference_steps=5,
        strength=strength,
        generator=seeded(),
        output_type="latent",
        callback_on_step_end=note,
    ).images
    assert len(steps) == int(5 * strength) and steps == sorted(steps, reverse=True)
    assert torch.isfinite(latents).all() and latents.shape == (1, 4, 64, 64)


def test_schedulers_share_the_published_noise_schedule():
    """ᾱ of scaled-linear β from 0.00085 to 0.012, in closed form."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    for name in ("ddim", "dpm++", "unipc", "euler"):
        np.testing.assert_allclose(make_scheduler(name).alphas_cumprod.numpy(), np.cumprod(1 - betas), rtol=1e-4)


def test_a_ddim_step_is_the_closed_form(pipe):
    """DDIM, η = 0 (Song 2020, arXiv:2010.02502, eq. 12): the pipeline's one step from pure noise with known ε."""
    eps = torch.full((1, 4, 64, 64), 0.25)
    real, pipe.unet.forward = pipe.unet.forward, lambda *args, **kwargs: (eps,)
    try:
        latents = pipe(
            PICTURES[0],
            MASKS[0],
            num_inference_steps=1,
            guidance_scale=1.0,
            noise_offset=0.0,
            generator=seeded(3),
            output_type="latent",
        ).images
    finally:
        pipe.unet.forward = real
    generator = seeded(3)
    torch.randn(1, 4, 64, 64, generator=generator)  # the posterior's draw comes first
    noise = torch.randn(1, 4, 64, 64, generator=generator)
    alpha = 1 - 0.00085  # one step: t = 0, and then the sample itself
    torch.testing.assert_close(latents, (noise - (1 - alpha) ** 0.5 * eps) / alpha**0.5, rtol=1e-4, atol=1e-5)


def test_guidance():
    fg, bg = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    torch.testing.assert_close(guide(fg, bg, 1.0), bg)
    torch.testing.assert_close(guide(fg, bg, 0.0), fg)
    torch.testing.assert_close(guide(fg, bg, 2.5), torch.tensor([6.0, -8.0]))


@pytest.mark.parametrize(("share", "guided"), [(0.0, 0), (0.5, 2), (0.6, 3), (1.0, 4)])
def test_guidance_in_the_first_part_of_the_steps(pipe, monkeypatch, share, guided):
    """And what it gives is a run whose later steps are background alone."""
    seen, real = [], pipe.unet.forward

    def noted(sample, timestep, token_ids, **options):
        seen.append(token_ids.tolist())
        return real(sample, timestep, token_ids, **options)

    monkeypatch.setattr(pipe.unet, "forward", noted)
    settings = dict(num_inference_steps=4, output_type="latent")
    latents = pipe(PICTURES[0], MASKS[0], generator=seeded(), guidance_share=share, **settings).images
    background, foreground = list(range(10)), list(range(10, 20))
    assert seen == guided * [[foreground, background]] + (4 - guided) * [[background]]
    if share in (0.0, 1.0):
        other = {"guidance_scale": 1.0} if share == 0.0 else {}
        torch.testing.assert_close(latents, pipe(PICTURES[0], MASKS[0], generator=seeded(), **other, **settings).images)


def test_the_fast_form_gives_the_same_latents(pipe, monkeypatch):
    settings = dict(num_inference_steps=3, guidance_share=0.5, output_type="latent")
    trained = pipe(PICTURES, MASKS, generator=seeded(), **settings).images
    fast = MoebiusInpaintPipeline(pipe.unet.fuse(), pipe.vae, make_scheduler())
    fast.set_progress_bar_config(disable=True)
    assert relative_error(fast(PICTURES, MASKS, generator=seeded(), **settings).images, trained.numpy()) < 1e-4


def test_a_generator_per_picture_makes_batch_and_single_runs_agree(pipe):
    settings = dict(num_inference_steps=2, output_type="np")
    together = pipe(PICTURES, MASKS, generator=[seeded(1), seeded(2)], **settings).images
    alone = pipe(PICTURES[1], MASKS[1], generator=[seeded(2)], **settings).images
    np.testing.assert_allclose(together[1], alone[0], atol=2 / 255)


class Traffic(TorchDispatchMode):
    """Notes what reads a value on the device "meta" or carries one there from the CPU or back."""

    copies = ("aten._to_copy", "aten.copy_", "aten._local_scalar_dense")

    def __init__(self):
        super().__init__()
        self.seen, self.calls = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
        ends = {each.device.type for each in tensors} | ({"cpu"} if isinstance(out, int | float) else set())
        self.calls += 1
        if len(ends) > 1 and str(func).startswith(self.copies):  # numbers of the CPU may scale tensors anywhere
            self.seen.append(str(func))
        return out


@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler"])
def test_nothing_is_copied_between_devices_inside_the_loop(pipe, name):
    """On torch's device without memory, where reading a value is an error and a copy from the CPU is seen."""
    meta = copy.deepcopy(pipe).to("meta")
    meta.scheduler = make_scheduler(name)
    traffic = Traffic()

    def stepped(pipeline, step, timestep, tensors):
        traffic.__enter__() if step == 0 else traffic.__exit__(None, None, None) if step == 3 else None
        return tensors

    latents = meta(
        PICTURES[0], MASKS[0], num_inference_steps=5, output_type="latent", callback_on_step_end=stepped
    ).images
    assert latents.device.type == "meta" and traffic.seen == [] and traffic.calls > 1000


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler"])
def test_nothing_waits_for_the_gpu_inside_the_loop(pipe, name):
    on_gpu = copy.deepcopy(pipe).to("cuda")
    on_gpu.scheduler = make_scheduler(name)

    def stepped(pipeline, step, timestep, tensors):
        torch.cuda.set_sync_debug_mode("error" if step < 3 else "default")
        return tensors

    try:
        on_gpu(PICTURES[0], MASKS[0], num_inference_steps=5, output_type="latent", callback_on_step_end=stepped)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_output_types_agree(pipe):
    settings = dict(num_inference_steps=1)
    pil, array, tensor = (
        pipe(PICTURES[0], MASKS[0], generator=seeded(), output_type=kind, **settings).images
        for kind in ("pil", "np", "pt")
    )
    np.testing.assert_array_equal(np.asarray(pil[0]), np.rint(array[0] * 255).astype(np.uint8))
    np.testing.assert_array_equal(array, tensor.permute(0, 2, 3, 1).numpy())


def test_inputs_as_tensors_and_arrays_give_the_same(pipe):
    settings = dict(num_inference_steps=1, output_type="np")
    pil = pipe(PICTURES[0], MASKS[0], generator=seeded(), **settings).images
    array = pipe(np.asarray(PICTURES[0]), np.asarray(MASKS[0]), generator=seeded(), **settings).images
    tensor = pipe(
        torch.from_numpy(np.asarray(PICTURES[0]).copy()).permute(2, 0, 1)[None] / 255.0,
        torch.from_numpy(np.asarray(MASKS[0]).copy())[None, None] / 255.0,
        generator=seeded(),
        **settings,
    ).images
    np.testing.assert_array_equal(pil, array)
    np.testing.assert_array_equal(pil, tensor)


def test_saved_and_loaded_it_fills_the_same(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    again = MoebiusInpaintPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    again.scheduler = DPMSolverMultistepScheduler.from_config(again.scheduler.config)
    pipe.scheduler = make_scheduler("dpm++")
    settings = dict(num_inference_steps=2, output_type="latent")
    ours, theirs = (p(PICTURES[0], MASKS[0], generator=seeded(), **settings).images for p in (pipe, again))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_from_published_reads_half_precision_files(pipe, tmp_path):
    loaded = MoebiusInpaintPipeline.from_published(write_published(tmp_path, small=True), "places2")
    loaded.set_progress_bar_config(disable=True)
    assert loaded.unet.dtype == torch.float32
    settings = dict(num_inference_steps=2, output_type="np")
    ours, theirs = (p(PICTURES[0], MASKS[0], generator=seeded(), **settings).images for p in (pipe, loaded))
    assert np.abs(ours - theirs).mean() < 0.02  # weights rounded to half precision


@torch.no_grad()
def test_bfloat16_stays_near_float32(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    low = MoebiusInpaintPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
    low.set_progress_bar_config(disable=True)
    settings = dict(num_inference_steps=1, output_type="latent")
    ours, theirs = (p(PICTURES[0], MASKS[0], generator=seeded(), **settings).images for p in (pipe, low))
    assert theirs.dtype == torch.float32
    assert relative_error(theirs, ours.numpy()) < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(num_inference_steps=0), "num_inference_steps must be between 1 and 1000, got 0"),
        (dict(guidance_scale=0.5), "guidance_scale must be between 1.0 and 100.0, got 0.5"),
        (dict(guidance_share=1.5), "guidance_share must be between 0.0 and 1.0, got 1.5"),
        (dict(strength=1.5), r"strength must be in \(0, 1\], got 1.5"),
        (dict(recipe="fast"), "unknown recipe 'fast'; choose from photo, published"),
        (dict(output_type="jpg"), 'must be "pil", "np", "pt" or "latent", got .jpg.'),
        (dict(image=PICTURES), "2 pictures but 1 masks"),
        (dict(generator=[seeded(), seeded()]), "1 pictures but 2 generators"),
        (dict(mask_image=MASKS[0].resize((100, 90))), "the mask is 100×90 pixels but the photo is 512×512"),
        (dict(mask_image=Image.new("L", (512, 512), 255)), "covers the whole photo"),
        (dict(image=np.zeros((512, 512), np.uint8)), r"must be \(H, W, 3\) uint8, got \(512, 512\) uint8"),
        (dict(image=torch.full((1, 3, 512, 512), 2.0)), r"must be in \[0, 1\], got \[2, 2\]"),
        (dict(callback_on_step_end_tensor_inputs=["noise"]), r"can be \['latents'\], got {'noise'}"),
        (
            dict(
                image=[PICTURES[0], PICTURES[0].resize((800, 512))], mask_image=[MASKS[0], MASKS[0].resize((800, 512))]
            ),
            "must scale to one size",
        ),
    ],
)
def test_wrong_arguments_are_named(pipe, change, message):
    arguments = dict(image=PICTURES[0], mask_image=MASKS[0]) | change
    with pytest.raises(ValueError, match=message):
        pipe(**arguments)
