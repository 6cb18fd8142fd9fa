"""Distillation of the student: it learns from the noise, the teacher's outputs and features, and a perceptual distance.

Student and frozen teacher run on the same noised latents (arXiv:2606.19195); the losses are in `losses`.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from moebius import masks
from moebius.files import replacing_folder
from moebius.training import checkpoints, losses, networks, optimizers, perceptual, teachers
from moebius.training.batchnorm import over_all_processes
from moebius.training.config import TrainConfig
from moebius.training.data.gpu_dataset import GpuDataset
from moebius.training.data.latents import Batch, BatchSource, Cached, Encoder, Fresh, build_cache
from moebius.training.data.samples import Samples, ahead
from moebius.training.diffusion import Draws, Schedule, draw
from moebius.training.loop import Diverged, Report, positions

if TYPE_CHECKING:
    from moebius.pipeline import MoebiusInpaintPipeline


class Distillation:
    """A `moebius.training.loop.Trainee`."""

    watched = "task"

    def __init__(self, config: TrainConfig, accelerator: Accelerator, report: Report = lambda text: None):
        """Load the networks, read the data, and fill the latent cache if there is one.

        Raises:
            ConfigError, heldout.HeldOutError, WeightsError: a file is missing, or settings do not fit together.
        """
        self.config, self.accelerator, device = config, accelerator, accelerator.device
        run, main = config.run, accelerator.is_main_process
        kind = torch.bfloat16 if run.precision == "bfloat16" else torch.float32
        part = run.batch_size // run.accumulate if device.type == "cuda" else 8
        vae = networks.autoencoder(config.autoencoder).to(device)
        self.encoder = Encoder(vae, device, part, accelerator.autocast)
        student = networks.student(config.student, run.seed)
        self.teacher = teachers.load(config.teacher, device, kind)
        channels = self.encoder.channels
        teachers.check(student, self.teacher, channels, config.loss)
        self.predicts = student.config.prediction_type
        side = config.data.size // self.encoder.factor
        self.shape = (channels, side, side)

        with accelerator.main_process_first():  # the other processes use what the first one has read
            self.samples = Samples(config.data, run.seed, run.out / "pictures.json", run.workers)
        if main:
            for path, reason in self.samples.broken:
                report(f"left out, cannot be read: {path} ({reason})")
            report(f"{len(self.samples)} pictures an epoch")
        self.source: BatchSource = Fresh(self.samples, self.encoder)
        if config.data.on_device:
            self.source = GpuDataset(self.samples, config.data, device, run.workers, self.encoder)
        elif config.data.cache:
            shares = accelerator.process_index, accelerator.num_processes
            build_cache(
                self.samples, self.encoder, config.data, *shares, lambda done, count: report(f"shard {done} of {count}")
            )
            accelerator.wait_for_everyone()
            self.source = Cached(config.data.cache, run.seed, device)

        self.judged = copy.deepcopy(student).to(device).eval().requires_grad_(False)  # holds the moving average
        if run.gradient_checkpointing:
            student.enable_gradient_checkpointing()
        if accelerator.num_processes > 1:
            student = over_all_processes(student, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            self.learner = teachers.Learner(student, self.teacher if config.loss.feature else None).to(device)
        if run.compile:
            networks.compile_blocks(student)
        self.network = accelerator.prepare(self.learner)  # same parameters, gradients averaged over processes
        self.optimizers = optimizers.Optimizers(self.learner, config.optimizer, run.steps)
        self.ema = optimizers.EMA(student, config.optimizer.ema_decay)
        self.schedule = Schedule(device)
        self.distance = perceptual.for_latents(config.loss, channels, device) if config.loss.perceptual else None
        if main:
            parameters = sum(parameter.numel() for parameter in student.parameters())
            report(f"student of {parameters / 1e6:.1f} M parameters, teacher: {config.teacher.kind}")
            if self.distance is not None:
                report(f"perceptual term: {config.loss.perceptual_kind}")

    # ---- a step ----

    def begin(self, step: int) -> None:
        """Read the data of the steps from this one on."""
        run, accelerator = self.config.run, self.accelerator
        groups = positions(run, accelerator.process_index, accelerator.num_processes, step)

        def prepare(position: int) -> tuple[int, Any]:
            return position, self.source.prepare(position)

        self.feed = ahead(prepare, groups, run.workers)

    def step(self, step: int) -> dict[str, float]:
        """Train on one batch; the losses by name."""
        config, parts = self.config, self.config.run.accumulate
        self.learner.train()
        self.learner.zero_grad(set_to_none=True)
        sums: dict[str, torch.Tensor] = {}
        for part in range(parts):
            numbers, prepared = zip(*next(self.feed), strict=True)
            batch = self.source.collate(list(prepared))
            draws = self.draws([f"noise:{number}" for number in numbers], config.run.seed)
            apart = self.accelerator.no_sync(self.network) if part < parts - 1 else nullcontext()
            with apart:
                values = self._backward(batch, draws, step, part)
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value / parts
        means = torch.stack(list(sums.values())).float()
        values = dict(zip(sums, self.accelerator.reduce(means, "mean").tolist(), strict=True))
        norm = optimizers.clip(self.learner.parameters(), config.optimizer.clip_norm)
        if not np.isfinite([*values.values(), norm]).all():
            bad = next((name for name, value in values.items() if not np.isfinite(value)), "gradient")
            raise Diverged(f"the {bad} is not a number at step {step + 1}")
        self.optimizers.step(step)
        self.ema.update()
        return values | {"gradient_norm": norm}

    def draws(self, names: list[str], seed: int) -> Draws:
        seeds = [masks.seed_of(seed, name) >> 1 for name in names]
        return draw(seeds, self.shape, self.config.noise, self.accelerator.device)

    def _backward(self, batch: Batch, draws: Draws, step: int, part: int) -> dict[str, torch.Tensor]:
        weights, accelerator = self.config.loss, self.accelerator
        terms = self.terms(batch, draws, step, part)
        adaptive = losses.Balance()
        if weights.adaptive:
            features_at, output_at = self.learner.probes()
            adaptive = losses.balance(terms, features_at, output_at, lambda x: accelerator.reduce(x, "mean"))
        loss = losses.total(terms, weights, adaptive)
        accelerator.backward(loss / self.config.run.accumulate)
        metrics = {"loss": loss} | {name: value for name, value in vars(terms).items() if value is not None}
        metrics |= {f"w_{name}": value for name, value in vars(adaptive).items() if isinstance(value, torch.Tensor)}
        return {name: value.detach() for name, value in metrics.items()}

    def terms(self, batch: Batch, draws: Draws, step: int, part: int = 0) -> losses.Terms:
        """The losses of one batch, with their graphs."""
        weights, timesteps = self.config.loss, draws.timesteps
        clean, masked = batch.latents(draws.posterior)
        noised = self.schedule.noised(clean, draws.noise, timesteps)
        sample = torch.cat([noised, batch.hole, masked], dim=1)  # (B, 2C + 1, h, w)
        prediction, features = self.network(sample, timesteps, batch.token_ids)
        target = self.schedule.target(clean, draws.noise, timesteps, self.predicts)
        found = {"task": losses.task_loss(prediction, target, batch.hole, weights.known)}
        if self.teacher is not None:
            with torch.no_grad(), self.accelerator.autocast():
                teacher_sample = sample.to(next(self.teacher.parameters()).dtype)
                teacher_prediction, teacher_blocks = self.teacher(
                    teacher_sample, timesteps, batch.token_ids, return_dict=False
                )
            if weights.output:
                found["output"] = losses.output_loss(prediction, teacher_prediction)
            if weights.feature:
                found["feature"] = losses.feature_loss(features, teacher_blocks[teachers.feature_block(self.teacher)])
        if self.distance is not None:
            devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices):  # E-LatentLPIPS augments by the global generator
                name = f"perceptual:{step}:{part}:{self.accelerator.process_index}"
                torch.manual_seed(masks.seed_of(self.config.run.seed, name) >> 1)
                implied = self.schedule.denoised(noised, prediction.float(), timesteps, self.predicts)
                found["perceptual"] = self.distance(implied, clean)
        return losses.Terms(**found)

    # ---- validation ----

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Task loss of the averaged weights on the validation pictures, always with the same crops, holes and noise."""
        data = self.config.data
        if self.samples.validation is None or not self.accelerator.is_main_process:
            return {}
        self.ema.copy_to(self.judged)
        batch = self._held_back
        found = []
        for number in range(data.validation_draws):
            draws = self.draws([f"validation:{i}:{number}" for i in range(data.validation)], seed=0)
            level = torch.special.ndtri(torch.tensor((number + 0.5) / data.validation_draws))
            level = self.config.noise.timestep_mean + self.config.noise.timestep_std * level
            draws.timesteps.fill_(int(1000 * torch.sigmoid(level)))  # spread over the training's distribution
            clean, masked = batch.latents(draws.posterior)
            noised = self.schedule.noised(clean, draws.noise, draws.timesteps)
            sample = torch.cat([noised, batch.hole, masked], dim=1)
            with self.accelerator.autocast():
                prediction = self.judged(sample, draws.timesteps, batch.token_ids, return_dict=False)[0]
            target = self.schedule.target(clean, draws.noise, draws.timesteps, self.predicts)
            found.append(losses.task_loss(prediction, target, batch.hole, self.config.loss.known))
        return {"heldout_task": torch.stack(found).mean().item()}

    @cached_property
    def _held_back(self) -> Batch:
        return self.encoder([self.samples.held_back(number) for number in range(self.config.data.validation)])

    def grid(self, steps: int) -> np.ndarray:
        """Validation pictures: with the hole, filled, original; one row each, (R·S, 3·S, 3) uint8."""
        rows = []
        pipeline = self.pipeline()
        pipeline.set_progress_bar_config(disable=True)
        for number in range(min(4, self.config.data.validation)):
            sample = self.samples.held_back(number)
            filled = pipeline(
                image=Image.fromarray(sample.picture),
                mask_image=Image.fromarray(sample.mask.astype(np.uint8) * 255),
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(number),
            ).images[0]
            holed = np.where(sample.mask[..., None], 127, sample.picture).astype(np.uint8)
            rows.append(np.concatenate([holed, np.asarray(filled), sample.picture], axis=1))
        return np.concatenate(rows) if rows else np.zeros((1, 1, 3), np.uint8)

    # ---- checkpoints and the result ----

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs to go on."""
        return {
            "learner": self.learner.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "ema": self.ema.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.ema.load_state_dict(state["ema"])

    def pipeline(self) -> MoebiusInpaintPipeline:
        """The averaged weights as a `MoebiusInpaintPipeline`."""
        from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

        unet = self.ema.copy_to(self.judged)
        return MoebiusInpaintPipeline(unet=unet, vae=self.encoder.vae, scheduler=make_scheduler())

    def finish(self, folder: Path, record: dict[str, Any]) -> None:
        """Write `folder/pipeline/`, which page, command line and evaluation load with `--weights`."""
        with replacing_folder(folder / "pipeline") as part:
            self.pipeline().save_pretrained(part, safe_serialization=True)
            checkpoints.write_record(part, record)
