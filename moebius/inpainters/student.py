"""The Moebius student as an `Inpainter`: `MoebiusInpaintPipeline` on squares of a photo."""

from __future__ import annotations

import time

import numpy as np
import torch
from PIL import Image

from moebius import images, weights
from moebius.config import RECIPES, SamplingConfig
from moebius.inpainter import Fill, Inpainter, Progress, Raster
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_ENCODE_STEPS, _DECODE_STEPS = 2, 5
"""What encoding and decoding cost, in denoising steps, roughly (2 cores, float32): for the progress bar alone."""


class StudentInpainter(Inpainter):
    """Fills with a loaded pipeline; under the `published` recipe it takes whole pictures, as the paper's code does."""

    name = "moebius"

    def __init__(self, pipeline: MoebiusInpaintPipeline):
        self.pipeline = pipeline
        self.size = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        self._scheduler: str | None = None  # the pipeline's own one until a config names another
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_files(
        cls, files: weights.WeightFiles, device: str | None = None, dtype: str | None = None
    ) -> StudentInpainter:
        """Load from files that `moebius.weights.locate` or `fetch` found.

        Args:
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: CUDA, else MPS, else the CPU.
            dtype: a name in `DTYPES`; None: float32. With float16 the autoencoder stays in float32, whose values
                leave float16's range.
        """
        device = device or best_device()
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}; choose from {', '.join(DTYPES)}")
        kind = DTYPES[dtype or "float32"]
        check_device(device)
        unet = weights.load_student(files, kind)
        vae = weights.load_autoencoder(files, torch.float32 if kind == torch.float16 else kind)
        pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler())
        return cls(pipeline.to(device))

    def fill(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
    ) -> Fill:
        """As `Inpainter.fill`; the `published` recipe returns an RGB picture at the model's size, all of it changed."""
        config = config or SamplingConfig()
        if not RECIPES[config.recipe].whole_picture:
            return super().fill(image, mask_image, config, generator, progress)
        started = time.perf_counter()
        picture, mask = images.to_rgb8(image), images.mask_array(mask_image)
        images.check_mask(mask, picture.shape[:2])
        model_started = time.perf_counter()
        result = self._run(picture, mask, config, generator, progress, paste=True, output_type="pil")[0]
        done = time.perf_counter()
        return Fill(
            raster=result,
            changed=np.ones((result.height, result.width), bool),
            squares=(),
            seconds={"model": done - model_started, "geometry": model_started - started},
            notes=(
                f"The published recipe works on the whole picture at {result.width}×{result.height} and starts from "
                "the unmasked picture, so what was removed may shine through.",
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
            strength=config.strength,
            noise_offset=config.noise_offset,
            generator=generator,
            recipe=config.recipe,
            paste=paste,
            output_type=output_type,
            callback_on_step_end=stepped,
        ).images


def best_device() -> str:
    """The fastest kind of device that torch sees here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> None:
    """Raises ValueError for a device that torch does not know or does not see here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"unknown device {device!r}; choose cpu, cuda, cuda:N or mps") from None
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(kind, False):
        raise ValueError(f"device {device!r} is not available here; available: {', '.join(k for k in here if here[k])}")
