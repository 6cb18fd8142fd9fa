"""Student and PixelHacker as `Inpainter`s: `MoebiusInpaintPipeline` on tiles of photos."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from moebius import devices
from moebius.config import RECIPES, SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.fill.result import Fill
from moebius.inpainters import networks, precision
from moebius.inpainters.base import Inpainter, PhotoInpainter
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.pipeline_images import paste_blurred
from moebius.progress import Progress
from moebius.weights import catalog
from moebius.weights.denoiser import WeightFiles

_ENCODE_STEPS, _DECODE_STEPS = 2, 5
"""Rough cost of encoding and decoding in denoising steps (2 cores, float32), for the progress bar."""


class DenoiserInpainter(Inpainter):
    """Fills with a loaded pipeline; named after its network by default.

    Under the `published` recipe it takes whole photos, see `WholePhotos`.
    """

    def __init__(self, pipeline: MoebiusInpaintPipeline, files: WeightFiles | None = None, name: str | None = None):
        self.pipeline, self.name = pipeline, name or pipeline.unet.model_name
        self.size = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        self.defaults = pipeline.unet.defaults
        self.files = files
        self._scheduler: str | None = None  # None: the pipeline's own scheduler
        self._remarks: list[str] = []
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_files(
        cls,
        files: WeightFiles,
        device: str | None = None,
        dtype: str | None = None,
        progress: Progress = lambda share, text: None,
        name: str | None = None,
    ) -> DenoiserInpainter:
        """Load from files that `moebius.weights.locate` or `moebius.weights.hub` found.

        Args:
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: CUDA, else MPS, else the CPU.
            dtype: a name in `devices.DTYPES`; None: see `precision.choose`. With float16 the autoencoder stays in
                float32, because its values leave float16's range.
        """
        device = device or devices.best_device()
        devices.check_device(device)
        kind, remarks = precision.choose(files, device, dtype, progress)
        unet = networks.load_denoiser(files, device, kind)
        vae = networks.load_autoencoder(files, device, kind)
        devices.release_memory()
        model = cls(MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler()), files, name)
        model._remarks.extend(remarks)
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
        return tuple(self._remarks)

    def shrink(self) -> str | None:
        """Change from float32 to bfloat16 if it is accurate with these weights, then from the GPU to the processor."""
        device = self.pipeline.device.type
        if device == "cpu":
            return None
        if self.pipeline.unet.dtype == torch.float32 and self._is_accurate_in_bfloat16():
            self.pipeline.to(torch.bfloat16)
            change = f"There was not enough memory on {device} in float32; bfloat16 is used instead."
        else:
            self.pipeline.to("cpu", torch.float32)
            change = f"There was not enough memory on {device}; the processor is used instead."
        self._remarks.append(change)
        return change

    def _is_accurate_in_bfloat16(self) -> bool:
        """Whether bfloat16 is accurate with these weights; tested on the processor, because the GPU is full."""
        if self.files is None or not catalog.DENOISERS[self.files.network].may_run_in_bfloat16:
            return True
        return not precision.inaccurate(self.files, "cpu", torch.bfloat16)

    def whole_photos(self, config: SamplingConfig) -> PhotoInpainter | None:
        return WholePhotos(self) if RECIPES[config.recipe].whole_picture else None

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """Fill all tiles in one call of the pipeline; every tile has its own noise."""
        runs = max(1, int(config.num_inference_steps * config.effective_strength))
        total = _ENCODE_STEPS + runs + _DECODE_STEPS
        progress(0.0, "Looking at the surroundings")

        def stepped(pipeline: MoebiusInpaintPipeline, step: int, timestep: int, tensors: dict) -> dict:
            progress.step_ended(str(pipeline.device))
            text = f"Step {step + 2} of {runs}" if step + 1 < runs else "Painting the pixels"
            progress((_ENCODE_STEPS + step + 1) / total, text)
            return tensors

        if config.scheduler != self._scheduler:
            self.pipeline.scheduler, self._scheduler = make_scheduler(config.scheduler), config.scheduler
        values = self.pipeline(
            image=list(tiles),
            mask_image=list(masks),
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            guidance_share=config.guidance_share,
            strength=config.strength,
            noise_offset=config.noise_offset,
            generator=None if None in generators else list(generators),
            recipe=config.recipe,
            paste=False,
            output_type="np",
            callback_on_step_end=stepped,
        ).images
        return list(values * 255.0)


class WholePhotos(PhotoInpainter):
    """The `published` recipe of the paper's code: the whole photo is filled at the model's size and pasted with soft
    edges. The result is an RGB picture at the model's size; all its pixels count as changed."""

    def __init__(self, model: DenoiserInpainter) -> None:
        self._model = model

    def fill_photos(
        self,
        photos: Sequence[Raster],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[Fill]:
        """Fill photos, those of the same scaled size in one call of the pipeline."""
        started = time.perf_counter()
        scaled = [
            self._model.pipeline.at_its_size(images.to_rgb8(photo), mask)
            for photo, mask in zip(photos, masks, strict=True)
        ]
        geometry_s = time.perf_counter() - started
        by_shape: dict[tuple[int, int], list[int]] = {}
        for place, (_, grey) in enumerate(scaled):
            by_shape.setdefault(grey.shape, []).append(place)
        fills: dict[int, Fill] = {}
        for group, places in enumerate(by_shape.values()):
            started = time.perf_counter()
            report = progress.part(group, len(by_shape))
            values = self._model.fill_squares(
                [scaled[place][0] for place in places],
                [scaled[place][1] >= 128 for place in places],
                config,
                [generators[place] for place in places],
                report,
            )
            model_s = time.perf_counter() - started
            for place, each in zip(places, values, strict=True):
                seconds = {"model": model_s / len(places), "detail": 0.0, "geometry": geometry_s / len(photos)}
                fills[place] = self._fill(each, *scaled[place], seconds, report.steps_ms, len(places))
        return [fills[place] for place in range(len(photos))]

    def _fill(
        self,
        values: np.ndarray,
        picture: np.ndarray,
        grey: np.ndarray,
        seconds: dict[str, float],
        steps_ms: list[float],
        batch: int,
    ) -> Fill:
        started = time.perf_counter()
        result = Image.fromarray(paste_blurred(values, picture, grey))
        seconds["geometry"] += time.perf_counter() - started
        how = (
            f"The published recipe works on the whole picture at {result.width}×{result.height} and starts from "
            "the unmasked picture, so removed objects may show through."
        )
        return Fill(
            raster=result,
            changed=np.ones(grey.shape, bool),
            squares=(),
            seconds=seconds,
            step_ms=statistics.median(steps_ms) / batch if steps_ms else None,
            notes=(how, *self._model.remarks()),
        )
