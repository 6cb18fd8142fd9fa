"""Student and PixelHacker as `Inpainter`s: `MoebiusInpaintPipeline` on squares of a photo."""

from __future__ import annotations

import time

import numpy as np
import torch
from PIL import Image

from moebius import devices, images, precision, weights
from moebius.config import RECIPES, SamplingConfig
from moebius.inpainter import Fill, Inpainter, Progress, Raster
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

_ENCODE_STEPS, _DECODE_STEPS = 2, 5
"""What encoding and decoding cost, in denoising steps, roughly (2 cores, float32): for the progress bar alone."""


class DenoiserInpainter(Inpainter):
    """Fills with a loaded pipeline and is named after its network, if nothing else is said.

    Under the `published` recipe it takes whole pictures, as the paper's code does.
    """

    def __init__(
        self, pipeline: MoebiusInpaintPipeline, files: weights.WeightFiles | None = None, name: str | None = None
    ):
        self.pipeline, self.name = pipeline, name or pipeline.unet.model_name
        self.size = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        self.files = files
        self._scheduler: str | None = None  # the pipeline's own one until a config names another
        self._said: list[str] = []
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_files(
        cls,
        files: weights.WeightFiles,
        device: str | None = None,
        dtype: str | None = None,
        progress: Progress = lambda share, text: None,
        name: str | None = None,
    ) -> DenoiserInpainter:
        """Load from files that `moebius.weights.locate` or `fetch` found.

        Args:
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: CUDA, else MPS, else the CPU.
            dtype: a name in `devices.DTYPES`; None: see `precision.choose`. With float16 the autoencoder stays in
                float32, because its values leave float16's range.
        """
        device = device or devices.best_device()
        devices.check_device(device)
        kind, said = precision.choose(files, device, dtype, progress)
        unet, vae = load_denoiser(files, device, kind), load_autoencoder(files, device, kind)
        devices.let_go()
        model = cls(MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler()), files, name)
        model._said.extend(said)
        return model

    def facts(self) -> dict[str, str | int | None]:
        return {
            "variant": self.files.variant if self.files else None,
            "weights": self.files.where if self.files else None,
            "device": str(self.pipeline.device),
            "parameters": self.pipeline.unet.num_parameters(),
            "dtype": str(self.pipeline.unet.dtype).removeprefix("torch."),
        }

    def remarks(self) -> tuple[str, ...]:
        return tuple(self._said)

    def shrink(self) -> str | None:
        """From float32 to bfloat16, where the student's weights bear it, then from the GPU to the processor."""
        device = self.pipeline.device.type
        if device == "cpu":
            return None
        if self.pipeline.unet.dtype == torch.float32 and self._bears_bfloat16():
            self.pipeline.to(torch.bfloat16)
            said = f"There was not enough memory on {device} in float32; took bfloat16 instead."
        else:
            self.pipeline.to("cpu", torch.float32)
            said = f"There was not enough memory on {device}; took the processor instead."
        self._said.append(said)
        return said

    def _bears_bfloat16(self) -> bool:
        """As `precision.choose` would find; tried on the processor, because there is no room on the GPU."""
        student = self.files is not None and self.files.network == "moebius"
        return not student or not precision.inaccurate(self.files, "cpu", torch.bfloat16)

    def fill(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
    ) -> Fill:
        """As `Inpainter.fill`; the `published` recipe returns an RGB picture at the model's size, all of it changed."""
        config = (config or SamplingConfig()).for_model(self.name)
        if not RECIPES[config.recipe].whole_picture:
            return super().fill(image, mask_image, config, generator, progress)
        started = time.perf_counter()
        picture, mask = images.to_rgb8(image), images.mask_array(mask_image)
        images.check_mask(mask, picture.shape[:2])
        self._ticks = ()
        model_started = time.perf_counter()
        result = self._with_room(
            lambda: self._run(picture, mask, config, generator, progress, paste=True, output_type="pil")[0], generator
        )
        done = time.perf_counter()
        return Fill(
            raster=result,
            changed=np.ones((result.height, result.width), bool),
            squares=(),
            seconds={"model": done - model_started, "geometry": model_started - started},
            step_ms=self.step_ms(),
            notes=(
                f"The published recipe works on the whole picture at {result.width}×{result.height} and starts from "
                "the unmasked picture, so what was removed may shine through.",
                *self.remarks(),
            ),
        )

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        return self._run(image, mask, config, generator, progress, paste=False, output_type="np")[0] * 255.0

    def _run(self, image, mask, config, generator, progress, *, paste, output_type):
        """The pipeline's result for one picture (H, W, 3) uint8 and mask (H, W) bool, with progress."""
        runs = max(1, int(config.num_inference_steps * config.effective_strength))
        total = _ENCODE_STEPS + runs + _DECODE_STEPS
        progress(0.0, "Looking at the surroundings")

        def stepped(pipeline, step: int, timestep: int, tensors: dict) -> dict:
            self.tick(str(pipeline.device))
            text = f"Step {step + 2} of {runs}" if step + 1 < runs else "Painting the pixels"
            progress((_ENCODE_STEPS + step + 1) / total, text)
            return tensors

        if config.scheduler != self._scheduler:
            self.pipeline.scheduler, self._scheduler = make_scheduler(config.scheduler), config.scheduler
        return self.pipeline(
            image=image,
            mask_image=mask,
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            guidance_share=config.guidance_share,
            strength=config.strength,
            noise_offset=config.noise_offset,
            generator=generator,
            recipe=config.recipe,
            paste=paste,
            output_type=output_type,
            callback_on_step_end=stepped,
        ).images


def load_denoiser(files: weights.WeightFiles, device: str, dtype: torch.dtype):
    """The network on its device, in its fast form where there is one: on CPUs alone so far, measured there."""
    with devices.return_freed():
        unet = weights.load_denoiser(files, dtype)
        if torch.device(device).type == "cpu" and hasattr(unet, "fuse"):
            return unet.fuse(release=True)
        return unet.to(device)


def load_autoencoder(files: weights.WeightFiles, device: str, dtype: torch.dtype):
    """The same for the autoencoder, which is never in float16."""
    with devices.return_freed():
        vae = weights.load_autoencoder(files, torch.float32 if dtype == torch.float16 else dtype)
        if torch.device(device).type == "cpu":
            from moebius.models.fused_autoencoder import fuse

            return fuse(vae)
        return vae.to(device)
