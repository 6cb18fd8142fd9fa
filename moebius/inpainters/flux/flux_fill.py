"""FLUX.1 Fill [dev] as an `Inpainter`: diffusers' `FluxFillPipeline` on tiles, in the available memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from diffusers import FluxFillPipeline, FluxTransformer2DModel
from PIL import Image

from moebius import devices
from moebius.config import FLUX_FILL_DEFAULTS, REMOVAL_PROMPT, SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.inpainters.base import Inpainter, one_by_one
from moebius.inpainters.flux.memory_plans import Plan
from moebius.inpainters.flux.prompts import Embedding, Prompts
from moebius.progress import Progress, no_progress, without_library_bars
from moebius.weights.flux import FluxFiles

log = logging.getLogger(__name__)


class FluxFillInpainter(Inpainter):
    """Loads the pipeline, without text encoders, by a memory plan; changes to a smaller plan when memory runs out.

    Args:
        load: returns the pipeline for a plan.
        prompts: returns a prompt's embedding.
        plans: best first, see `memory_plans.choose`; the first one is loaded.
        device: `cuda`, `cuda:1`, `mps`, `cpu`.
        where: where the weights are, for messages.
    """

    name = "flux-fill"
    defaults = FLUX_FILL_DEFAULTS

    def __init__(
        self,
        load: Callable[[Plan], FluxFillPipeline],
        prompts: Callable[[str], Embedding],
        plans: tuple[Plan, ...],
        device: str,
        where: str,
        progress: Progress = no_progress,
    ):
        self._load, self._prompts, self._plans = load, prompts, list(plans)
        self._device, self._where = device, where
        self._remarks: list[str] = []
        progress(0.0, "Reading the prompt")
        prompts(REMOVAL_PROMPT)  # while the GPU is empty
        self.pipeline = self._load_first_that_fits(progress)
        step = 2 * self.pipeline.vae_scale_factor
        self.size = self.pipeline.vae.config.sample_size // step * step

    @classmethod
    def from_files(
        cls,
        files: FluxFiles,
        plans: tuple[Plan, ...],
        device: str,
        dtype: torch.dtype = torch.bfloat16,
        progress: Progress = no_progress,
    ) -> FluxFillInpainter:
        """Load from files that `moebius.weights.locate` or `moebius.weights.hub` found.

        dtype: of the computation.
        """

        def load(plan: Plan) -> FluxFillPipeline:
            with without_library_bars():
                return load_pipeline(files, plan, device, dtype)

        return cls(load, Prompts(files, device, dtype), plans, device, files.where, progress)

    @property
    def plan(self) -> Plan:
        return self._plans[0]

    def facts(self) -> dict[str, str | int | None]:
        kind = str(self.pipeline.transformer.dtype).removeprefix("torch.")
        facts: dict[str, str | int | None] = {
            "weights": self._where,
            "device": self._device,
            "dtype": kind,
            "plan": self.plan.name,
        }
        if self.plan.storage in ("bf16", "fp8"):  # packed numbers cannot be counted
            facts["parameters"] = sum(parameter.numel() for parameter in self.pipeline.transformer.parameters())
        return facts

    def remarks(self) -> tuple[str, ...]:
        return (f"Plan {self.plan.name}: {self.plan.text}.", *self._remarks)

    def shrink(self) -> str | None:
        """Load again with the next plan."""
        if len(self._plans) < 2:
            return None
        self._next_plan()
        self.pipeline = self._load_first_that_fits()
        return self._remarks[-1]

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        return one_by_one(self.fill_square, tiles, masks, config, generators, progress)

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: CallProgress,
    ) -> np.ndarray:
        """(S, S, 3) uint8 and (S, S) bool -> (S, S, 3) float32 in [0, 255]."""
        progress(0.0, "Reading the prompt")
        embeds, pooled = self._prompts(config.prompt or REMOVAL_PROMPT)
        strength = (
            config.strength or 1.0
        )  # from pure noise in every recipe: the pixels under the hole cannot show through
        steps = max(1, int(config.num_inference_steps * strength))
        progress(0.0, "Looking at the surroundings")

        def stepped(pipeline: FluxFillPipeline, step: int, timestep: float, tensors: dict) -> dict:
            progress.step_ended(self._device)
            text = f"Step {step + 2} of {steps}" if step + 1 < steps else "Painting the pixels"
            progress(min(1.0, (step + 2) / (steps + 2)), text)
            return tensors

        height, width = mask.shape
        try:
            filled = self.pipeline(
                prompt_embeds=embeds.to(self._device),
                pooled_prompt_embeds=pooled.to(self._device),
                image=Image.fromarray(image),
                mask_image=Image.fromarray(mask.astype(np.uint8) * 255),
                height=height,  # without them the pipeline resizes everything to 1024 × 1024
                width=width,
                strength=strength,
                num_inference_steps=config.num_inference_steps,
                guidance_scale=config.guidance_scale,
                generator=generator,
                output_type="np",
                callback_on_step_end=stepped,
            ).images[0]
        finally:
            self.pipeline.maybe_free_model_hooks()  # also after a cancelled fill
        return filled.astype(np.float32) * 255.0

    def _load_first_that_fits(self, progress: Progress = no_progress) -> FluxFillPipeline:
        """Load with the first plan; while memory runs out, with the next one."""
        while True:
            progress(0.0, f"Loading FLUX.1 Fill [dev]: {self.plan.text}")
            log.info("plan %s: %s", self.plan.name, self.plan.text)
            try:
                return self._load(self.plan)
            except (MemoryError, RuntimeError) as error:
                if not devices.is_out_of_memory(error) or len(self._plans) < 2:
                    raise
            self._next_plan()

    def _next_plan(self) -> None:
        """Drop the pipeline, and the plan that needed too much memory."""
        self.pipeline = None
        devices.release_memory()
        failed = self._plans.pop(0)
        self._remarks.append(
            f"There was not enough memory for the plan {failed.name}; {self.plan.name} is used instead."
        )


def load_pipeline(files: FluxFiles, plan: Plan, device: str, dtype: torch.dtype) -> FluxFillPipeline:
    """Load the pipeline without text encoders; the plan says how its transformer is stored and where."""
    transformer = _load_transformer(files, plan, dtype)
    if plan.storage == "fp8":
        transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    pipeline = FluxFillPipeline.from_pretrained(
        files.folder,
        transformer=transformer,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        dtype=dtype,
        local_files_only=True,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_tiling()
    if plan.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif plan.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    elif plan.offload == "group":
        transformer.enable_group_offload(
            onload_device=torch.device(device),
            offload_device=torch.device("cpu"),
            offload_type="block_level",
            num_blocks_per_group=2,
        )
        pipeline.vae.to(device)
    elif plan.storage == "nf4":  # the transformer was quantised on its device
        pipeline.vae.to(device)
    else:
        pipeline.to(device)
    return pipeline


def _load_transformer(files: FluxFiles, plan: Plan, dtype: torch.dtype) -> FluxTransformer2DModel:
    if plan.storage == "gguf":
        from diffusers import GGUFQuantizationConfig

        return FluxTransformer2DModel.from_single_file(
            str(files.gguf),
            config=str(files.folder),
            subfolder="transformer",
            quantization_config=GGUFQuantizationConfig(compute_dtype=dtype),
            torch_dtype=dtype,
        )
    quantization = None
    if plan.storage == "nf4":
        from diffusers import BitsAndBytesConfig

        quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return FluxTransformer2DModel.from_pretrained(
        files.folder, subfolder="transformer", dtype=dtype, quantization_config=quantization, local_files_only=True
    )
