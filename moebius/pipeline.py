"""MoebiusInpaintPipeline: encode, denoise, decode; the two recipes of `moebius.config.RECIPES`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from moebius import devices
from moebius.config import RECIPES, SamplingConfig
from moebius.models.block_autoencoder import BlockAutoencoder, pixels_per_latent
from moebius.models.pixelhacker import PixelHackerUNet
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet
from moebius.photo import images
from moebius.pipeline_images import Pictures, as_type, masks_of, paste_blurred, paste_feathered, pictures_of
from moebius.weights.denoiser import WeightFiles

_DEFAULTS = SamplingConfig()
_SCHEDULERS = {
    "ddim": DDIMScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
}


def make_scheduler(name: str = "ddim") -> SchedulerMixin:
    """A sampler by its short name with the published noise schedule: 1000 steps, scaled-linear β, leading spacing."""
    if name not in _SCHEDULERS:
        raise ValueError(f"unknown scheduler {name!r}; choose from {', '.join(_SCHEDULERS)}")
    published = DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="leading",  # explicit, because from_config would replace a default by its own
        steps_offset=0,
        prediction_type="epsilon",
    )
    return published if name == "ddim" else _SCHEDULERS[name].from_config(published.config)


def guide(eps_foreground: Tensor, eps_background: Tensor, guidance_scale: float) -> Tensor:
    """Classifier-free guidance on noise predictions, each (B, 4, h, w), away from the foreground.

    Ho & Salimans 2022 (arXiv:2207.12598), eq. 6, with guidance_scale = 1 + w: 1.0 turns it off.
    """
    return eps_foreground + guidance_scale * (eps_background - eps_foreground)


@dataclass
class MoebiusPipelineOutput(BaseOutput):
    """images: PIL pictures, (B, H, W, 3) float32 in [0, 1] ("np"), (B, 3, H, W) in [0, 1] ("pt"), or latents."""

    images: list[Image.Image] | np.ndarray | Tensor


class MoebiusInpaintPipeline(DiffusionPipeline):
    """Fills the white part of a mask with the student (arXiv:2606.19195) or PixelHacker. There is no prompt.

    `pipe.scheduler` may be swapped the diffusers way (`DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)`,
    UniPC, Euler). `moebius.inpainters.diffusion.DenoiserInpainter` puts squares of photos through it and keeps the rest
    of the photo bit-identical; the pipeline itself works on whole pictures.
    """

    model_cpu_offload_seq = "unet->vae"
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        unet: MoebiusUNet | PixelHackerUNet,
        vae: AutoencoderKL | BlockAutoencoder,
        scheduler: SchedulerMixin,
    ):
        super().__init__()
        self.register_modules(unet=unet, vae=vae, scheduler=scheduler)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels per latent along a side."""
        return pixels_per_latent(self.vae.config)

    @classmethod
    def from_files(cls, files: WeightFiles, dtype: torch.dtype | None = None) -> MoebiusInpaintPipeline:
        """Build the pipeline on the CPU from files that were found; `dtype` None keeps the stored precision.

        Raises:
            moebius.weights.WeightsError: damaged files, or those of another network.
        """
        from moebius.weights import load

        unet, vae = load.load_denoiser(files, dtype), load.load_autoencoder(files, dtype)
        return cls(unet=unet, vae=vae, scheduler=make_scheduler())

    @classmethod
    def from_published(
        cls,
        source: str | Path,
        variant: str = "places2",
        torch_dtype: torch.dtype | None = None,
        revision: str | None = None,
    ) -> MoebiusInpaintPipeline:
        """Build the pipeline from the published files.

        Args:
            source: a folder (see `moebius.weights.locate.locate`), or `hustvl/Moebius` or `hustvl/PixelHacker`, which
                is downloaded.
            variant: one of `moebius.weights.catalog.VARIANTS`.
            torch_dtype: None: float32.
            revision: of the hub repository.

        Raises:
            moebius.weights.WeightsError: files missing or not what they should be; it names the file and the keys.
        """
        from moebius.weights import hub

        return cls.from_files(hub.find_or_fetch(source, variant, revision), torch_dtype or torch.float32)

    @torch.no_grad()
    def __call__(
        self,
        image: Pictures,
        mask_image: Pictures,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_share: float = _DEFAULTS.guidance_share,
        strength: float | None = None,
        noise_offset: float = _DEFAULTS.noise_offset,
        generator: torch.Generator | list[torch.Generator] | None = None,
        recipe: str = "photo",
        paste: bool = True,
        feather_px: int = _DEFAULTS.feather_px,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[MoebiusInpaintPipeline, int, int, dict], dict | None] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> MoebiusPipelineOutput | tuple:
        """Fill holes in one picture or a batch.

        Args:
            image: Pillow picture(s), uint8 array(s) (H, W, 3), a batch (B, H, W, 3) uint8, or a tensor (B, 3, H, W)
                in [0, 1].
            mask_image: as many, same sizes: Pillow, (H, W) uint8 or bool, or a tensor (B, 1, H, W) in [0, 1].
                White (at least half) = repaint.
            num_inference_steps: length of the schedule; `int(steps · strength)` of them are run. None: 20.
            guidance_scale: 1.0 turns guidance off and halves the work. None: the network's own, 2.0 for the student
                (the paper's code uses 2.0 to 2.5), 4.5 for PixelHacker.
            guidance_share: share of the steps, the first ones, that are guided; the others cost half as much.
            strength: in (0, 1]; None: the recipe's (`photo` 1.0, pure noise; `published` 0.99).
            noise_offset: times N(0, 1), one number per sample and channel, added to the noise.
            generator: one, or one per picture.
            recipe: `photo`: nothing under the hole reaches the result, which has the input's size. `published`: the
                paper's code (short side to 512, starts from the noised unmasked picture); the result stays that small.
            paste: blend the result into the picture, as the recipe does. False: the bare result at the model's size.
            feather_px: width of the `photo` recipe's blend outside the hole.
            output_type: "pil", "np", "pt" or "latent".
            callback_on_step_end: called as (pipeline, step, timestep, {"latents": …}); may return changed latents.

        Raises:
            ValueError: an argument is out of range, sizes differ, a mask is full, or pictures of one batch scale to
                different sizes.
        """
        # 1. Check
        settings = SamplingConfig(
            recipe=recipe,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_share=guidance_share,
            strength=strength,
            noise_offset=noise_offset,
            feather_px=feather_px,
        ).with_defaults(self.unet.defaults)
        if output_type not in ("pil", "np", "pt", "latent"):
            raise ValueError(f'output_type must be "pil", "np", "pt" or "latent", got {output_type!r}')
        if unknown := set(callback_on_step_end_tensor_inputs) - set(self._callback_tensor_inputs):
            raise ValueError(f"callback_on_step_end_tensor_inputs can be {self._callback_tensor_inputs}, got {unknown}")
        pictures, masks = pictures_of(image), masks_of(mask_image)
        if len(pictures) != len(masks):
            raise ValueError(f"{len(pictures)} pictures but {len(masks)} masks; give one mask per picture")
        if isinstance(generator, list) and len(generator) != len(pictures):
            raise ValueError(f"{len(pictures)} pictures but {len(generator)} generators; give one per picture or one")
        for picture, mask in zip(pictures, masks, strict=True):
            images.check_mask(mask, picture.shape[:2])

        # 2. Bring to the model's size
        scaled = [self.at_its_size(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]
        sizes = {picture.shape[:2] for picture, _ in scaled}
        if len(sizes) > 1:
            raise ValueError(f"pictures of one batch must scale to one size, got {sorted(sizes)} (height, width)")
        height, width = sizes.pop()
        source = images.rgb_to_tensor(np.stack([picture for picture, _ in scaled]))  # (B, 3, H, W)
        grey = np.stack([mask for _, mask in scaled])  # (B, H, W) uint8, as resized
        hole = torch.from_numpy(grey >= 128).unsqueeze(1).float()  # (B, 1, H, W)

        # 3. Denoise
        latents = self._sample(
            source, hole, settings, generator, callback_on_step_end, callback_on_step_end_tensor_inputs
        )
        if output_type == "latent":
            return self._finish(latents, return_dict)

        # 4. Decode and put back
        with devices.return_freed_memory():  # decoding needs the most memory
            decoded = self.vae.decode(latents.to(self.vae.dtype) / self.vae.config.scaling_factor).sample
        decoded = VaeImageProcessor.denormalize(decoded.float())  # (B, 3, H, W) in [0, 1]
        if output_type == "pt" and not paste:
            return self._finish(decoded, return_dict)
        values = VaeImageProcessor.pt_to_numpy(decoded)  # (B, H, W, 3)
        if paste:
            values = values * 255
            if RECIPES[recipe].paste == "blurred":
                pasted = [paste_blurred(v, *s) for v, s in zip(values, scaled, strict=True)]
            else:
                pasted = [
                    paste_feathered(v, picture, mask, feather_px)
                    for v, picture, mask in zip(values, pictures, masks, strict=True)
                ]
            return self._finish(as_type(pasted, output_type, self._execution_device), return_dict)
        if output_type == "np":
            return self._finish(values, return_dict)
        # truncated as in the published code; VaeImageProcessor would round
        return self._finish([Image.fromarray((v * 255).astype(np.uint8)) for v in values], return_dict)

    def at_its_size(self, picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Short side to the model's, both sides floored to a multiple of 64 pixels, Lanczos (spec of the published
        code): (H, W, 3) uint8 and (H, W) bool -> the same scaled, the mask as grey uint8."""
        short = self.unet.config.sample_size * self.vae_scale_factor
        step = min(64, short)
        height, width = picture.shape[:2]
        factor = short / min(height, width)
        target = tuple(max(step, int(side * factor) // step * step) for side in (width, height))
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        if target == (width, height):
            return picture, np.asarray(grey)
        resized = Image.fromarray(picture).resize(target, Image.Resampling.LANCZOS)
        return np.asarray(resized), np.asarray(grey.resize(target, Image.Resampling.LANCZOS))

    def _sample(
        self,
        source: Tensor,
        hole: Tensor,
        settings: SamplingConfig,
        generator: torch.Generator | list[torch.Generator] | None,
        callback: Callable | None,
        callback_inputs: Sequence[str],
    ) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] and holes (B, 1, H, W) -> latents (B, 4, h, w), times the scaling factor.

        Random numbers are drawn by shape, in the published order: posterior of the picture (where the recipe starts
        from it), posterior of the masked picture, noise, offset.
        """
        device, dtype = self._execution_device, self.unet.dtype
        recipe, strength = RECIPES[settings.recipe], settings.effective_strength
        masked = source * (1 - hole)  # holes are mid-grey

        start = None
        if strength < 1 and recipe.starts_from == "image":
            start = self._encode(source, generator)
        masked_latents = self._encode(masked, generator)  # (B, 4, h, w)
        if strength < 1 and recipe.starts_from == "masked_image":
            start = masked_latents
        shape = tuple(masked_latents.shape)
        mask = F.interpolate(hole, size=shape[-2:], mode="nearest").to(device, dtype)
        condition = torch.cat([mask, masked_latents.to(dtype)], dim=1)  # (B, 5, h, w)

        noise = randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
        if settings.noise_offset:
            offset = randn_tensor((*shape[:2], 1, 1), generator=generator, device=device, dtype=torch.float32)
            noise = noise + settings.noise_offset * offset

        # whatever sampler was put in, the network knows what it predicts
        self.scheduler.register_to_config(prediction_type=self.unet.config.get("prediction_type", "epsilon"))
        # a sampler's few numbers stay on the processor, and the network's moments lie on its device before the loop:
        # nothing is copied between the two inside it
        self.scheduler.set_timesteps(settings.num_inference_steps, device="cpu")
        runs = max(1, min(int(settings.num_inference_steps * strength), settings.num_inference_steps))
        first = (settings.num_inference_steps - runs) * self.scheduler.order
        timesteps = self.scheduler.timesteps[first:]
        moments = timesteps.to(device)
        if start is None:
            latents = noise * self.scheduler.init_noise_sigma
        else:
            if hasattr(self.scheduler, "set_begin_index"):
                self.scheduler.set_begin_index(first)
            latents = self.scheduler.add_noise(start.float(), noise, timesteps[:1])

        guided_steps = 0 if settings.guidance_scale == 1.0 else math.ceil(settings.guidance_share * len(timesteps))
        both = torch.tensor((FOREGROUND_IDS, BACKGROUND_IDS), device=device).repeat_interleave(shape[0], dim=0)
        branches = 1 if getattr(self.unet, "shares_branches", False) else 2
        with devices.keep_freed_memory(), self.progress_bar(total=len(timesteps)) as bar:
            for step, timestep in enumerate(timesteps):
                guided = step < guided_steps
                scaled = self.scheduler.scale_model_input(latents, timestep).to(dtype)
                sample = torch.cat([scaled, condition], dim=1).repeat(branches if guided else 1, 1, 1, 1)
                token_ids = both if guided else both[shape[0] :]  # (2B or B, 10)
                eps = self.unet(sample, moments[step], token_ids, return_dict=False)[0].float()
                if guided:
                    eps_foreground, eps_background = eps.chunk(2)
                    eps = guide(eps_foreground, eps_background, settings.guidance_scale)
                latents = self.scheduler.step(eps, timestep, latents, return_dict=False)[0]
                if callback is not None:
                    tensors = {"latents": latents} if "latents" in callback_inputs else {}
                    latents = (callback(self, step, int(timestep), tensors) or {}).get("latents", latents)
                bar.update()
        return latents

    def _encode(self, pictures: Tensor, generator: torch.Generator | list[torch.Generator] | None) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> a sample of the posterior, (B, 4, h, w) float32, times the scaling factor."""
        with devices.return_freed_memory():
            posterior = self.vae.encode(pictures.to(self._execution_device, self.vae.dtype)).latent_dist
        mean, std = posterior.mean.float(), posterior.std.float()
        draw = randn_tensor(tuple(mean.shape), generator=generator, device=mean.device, dtype=torch.float32)
        return (mean + std * draw).contiguous() * self.vae.config.scaling_factor

    def _finish(self, result: list | np.ndarray | Tensor, return_dict: bool) -> MoebiusPipelineOutput | tuple:
        self.maybe_free_model_hooks()
        return MoebiusPipelineOutput(images=result) if return_dict else (result,)
