"""Training of a small autoencoder with absolute error, a perceptual distance and a small discriminator.

After latent diffusion's autoencoder (Rombach 2022, arXiv:2112.10752) and its adaptive adversarial weight (Esser 2021,
arXiv:2012.09841, eq. 7). Its scaling factor, one over the latents' standard deviation, is measured at the end.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import AutoencoderKL
from torch import Tensor, nn

from moebius import masks
from moebius.files import replacing_folder
from moebius.models.block_autoencoder import BlockAutoencoder, pixels_per_latent
from moebius.photo import images
from moebius.training import checkpoints, counter, networks, optimizers, perceptual
from moebius.training.config import AutoencoderConfig, ConfigError
from moebius.training.data.gpu_dataset import GpuDataset
from moebius.training.data.samples import Sample, Samples, ahead
from moebius.training.loop import Diverged, Report, positions

MEASURED = 64
"""Number of training squares on which the scaling factor is measured."""
FITTED = 512
"""Number of training squares from whose blocks a `BlockAutoencoder` computes its components."""


def build(table: Mapping[str, Any], seed: int) -> AutoencoderKL | BlockAutoencoder:
    """diffusers' autoencoder with the arguments in `table`, or a `BlockAutoencoder` if there is `block_size`; random
    weights from `seed`.

    Raises:
        ConfigError: an unknown argument, or a value that it refuses.
    """
    kind = BlockAutoencoder if "block_size" in table else AutoencoderKL
    derived = {
        "self",
        "down_block_types",
        "up_block_types",
        "in_channels",
        "out_channels",
    }  # set here, or measured at the end
    derived |= {"scaling_factor", "sample_size"}
    allowed = [name for name in inspect.signature(kind.__init__).parameters if name not in derived]
    if unknown := sorted(set(table) - set(allowed)):
        raise ConfigError(f"unknown key autoencoder.{unknown[0]}; allowed here: {', '.join(allowed)}")
    given = dict(table)
    if kind is AutoencoderKL:
        stages = len(table.get("block_out_channels", (64,)))
        blocks = {"down_block_types": ["DownEncoderBlock2D"] * stages, "up_block_types": ["UpDecoderBlock2D"] * stages}
        given = blocks | {"force_upcast": False} | given
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return kind(**given)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"autoencoder: {error}") from error


class Reconstruction(nn.Module):
    """Encode, draw, decode."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.vae = vae

    def forward(self, pictures: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [-1, 1], (B, C, h, w) from N(0, 1) -> reconstruction, and the KL to N(0, 1) per latent."""
        posterior = self.vae.encode(pictures).latent_dist
        latents = posterior.mean + posterior.std * draws
        return self.vae.decode(latents).sample, posterior.kl().mean() / latents[0].numel()


class Adversary(nn.Sequential):
    """Classifies each patch of a picture as real or not (PatchGAN, Isola 2017, arXiv:1611.07004)."""

    def __init__(self, width: int = 32, layers: int = 3):
        modules: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for _ in range(layers - 1):
            modules += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.GroupNorm(8, 2 * width), nn.LeakyReLU(0.2)]
            width *= 2
        super().__init__(*modules, nn.Conv2d(width, 1, 3, padding=1))


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The adversary's loss on its logits (Lim & Ye 2017, arXiv:1705.02894)."""
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


class AutoencoderTraining:
    """A `moebius.training.loop.Trainee`."""

    watched = "error"

    def __init__(self, config: AutoencoderConfig, accelerator: Accelerator, report: Report = lambda text: None):
        """Raises ConfigError, heldout.HeldOutError: a file is missing, or settings do not fit together."""
        self.config, self.accelerator, device = config, accelerator, accelerator.device
        run = config.run
        vae = build(config.autoencoder, run.seed)
        factor = pixels_per_latent(vae.config)
        if config.data.size % factor:
            raise ConfigError(f"data.size ({config.data.size}) must be divisible by the autoencoder's factor {factor}")
        self.shape = (vae.config.latent_channels, config.data.size // factor, config.data.size // factor)
        with accelerator.main_process_first():
            self.samples = Samples(config.data, run.seed, run.out / "pictures.json", run.workers)
        if accelerator.is_main_process:
            for path, reason in self.samples.broken:
                report(f"left out, cannot be read: {path} ({reason})")
            parameters = sum(parameter.numel() for parameter in vae.parameters())
            report(f"autoencoder of {parameters / 1e6:.1f} M parameters, {len(self.samples)} pictures an epoch")
            report(f"perceptual term: {config.loss.perceptual_kind if config.loss.perceptual else 'none'}")
        if isinstance(vae, BlockAutoencoder):
            report(f"components of the blocks of {FITTED} squares")
            vae.fit(images.rgb_to_tensor(self.samples.sample(number).picture[None])[0] for number in range(FITTED))
        on_device = config.data.on_device
        self.gpu_dataset = GpuDataset(self.samples, config.data, device, run.workers) if on_device else None
        self.judged = copy.deepcopy(vae).to(device).eval().requires_grad_(False)
        if run.gradient_checkpointing:
            vae.enable_gradient_checkpointing()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            self.adversary = Adversary().to(device)
        self.learner = Reconstruction(vae).to(device).train()
        if run.compile:
            networks.keep_graphs()
            vae.encoder.compile()
            vae.decoder.compile()
        self.network, self.judge = accelerator.prepare(self.learner, self.adversary)
        self.optimizers = optimizers.Optimizers(vae, config.optimizer, run.steps)
        self.adversary_optimizers = optimizers.Optimizers(self.adversary, config.optimizer, run.steps)
        self.ema = optimizers.EMA(vae, config.optimizer.ema_decay)
        self.distance = perceptual.for_pictures(config.loss, device) if config.loss.perceptual else None

    # ---- a step ----

    def begin(self, step: int) -> None:
        """Read the data of the steps from this one on."""
        run, accelerator = self.config.run, self.accelerator
        groups = positions(run, accelerator.process_index, accelerator.num_processes, step)
        prepare = self.gpu_dataset.prepare if self.gpu_dataset else self.samples.sample
        self.feed = ahead(lambda position: (position, prepare(position)), groups, run.workers)

    def step(self, step: int) -> dict[str, float]:
        """Train on one batch; the losses by name."""
        config, parts = self.config, self.config.run.accumulate
        against = config.loss.adversarial > 0 and step >= config.loss.adversarial_from
        self.learner.zero_grad(set_to_none=True)
        self.adversary.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for part in range(parts):
            numbers, prepared = zip(*next(self.feed), strict=True)
            apart = part < parts - 1
            pictures = self.gpu_dataset.pictures(list(prepared)) if self.gpu_dataset else self._pictures(prepared)
            values = self._backward(pictures, self._draws(numbers), against, apart)
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value / parts
        means = self.accelerator.reduce(torch.stack(list(sums.values())).float(), "mean").tolist()
        values = dict(zip(sums, means, strict=True))
        values["gradient_norm"] = optimizers.clip(self.learner.parameters(), config.optimizer.clip_norm)
        if bad := [name for name, value in values.items() if not np.isfinite(value)]:
            raise Diverged(f"the {bad[0]} is not a number at step {step + 1}")
        self.optimizers.step(step)
        if against:
            self.adversary_optimizers.step(step - config.loss.adversarial_from)
        self.ema.update()
        return values

    def _pictures(self, samples: tuple[Sample, ...]) -> Tensor:
        return images.rgb_to_tensor(np.stack([s.picture for s in samples])).to(self.accelerator.device)

    def _draws(self, numbers: tuple[int, ...]) -> Tensor:
        seeds = [masks.seed_of(self.config.run.seed, f"noise:{number}") >> 1 for number in numbers]
        keys = torch.tensor(seeds, device=self.accelerator.device)
        return counter.normal(keys, math.prod(self.shape)).view(-1, *self.shape)

    def _backward(self, pictures: Tensor, draws: Tensor, against: bool, apart: bool) -> dict[str, Tensor]:
        weights, accelerator, parts = self.config.loss, self.accelerator, self.config.run.accumulate
        made, kl = self.network(pictures, draws)
        made = made.float()
        terms = {"error": F.l1_loss(made, pictures), "kl": kl.float()}
        loss = terms["error"]
        if self.distance is not None:
            terms["perceptual"] = self.distance(made, pictures)
            loss = loss + weights.perceptual * terms["perceptual"]
        if against:
            self.adversary.requires_grad_(False)
            terms["adversarial"] = -self.adversary(made).mean()
            self.adversary.requires_grad_(True)
            terms["w_adversarial"] = self._balance(loss, terms["adversarial"])
            loss = loss + weights.adversarial * terms["w_adversarial"] * terms["adversarial"]
        loss = loss + weights.kl * terms["kl"]
        with accelerator.no_sync(self.network) if apart else nullcontext():
            accelerator.backward(loss / parts)
        if against:
            with accelerator.no_sync(self.judge) if apart else nullcontext():
                real, fake = self.judge(torch.cat([pictures, made.detach()])).float().chunk(2)
                terms["adversary"] = hinge(real, fake)
                accelerator.backward(terms["adversary"] / parts)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in terms.items()}

    def _balance(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """‖∇reconstruction‖ / (‖∇adversarial‖ + 1e-4) at the decoder's last layer, at most 1e4."""
        last = self.learner.vae.decoder.conv_out.weight
        gradients = (torch.autograd.grad(term, last, retain_graph=True)[0] for term in (reconstruction, adversarial))
        norms = [self.accelerator.reduce(gradient.float(), "mean").norm() for gradient in gradients]
        return (norms[0] / (norms[1] + 1e-4)).clamp(0, 1e4).detach()

    # ---- validation ----

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Absolute error and mean PSNR in decibels of the averaged weights on the validation pictures."""
        if self.samples.validation is None or not self.accelerator.is_main_process:
            return {}
        pictures, made = self._held_back(self.config.data.validation)
        errors = ((made - pictures) / 2).square().mean(dim=(1, 2, 3))
        return {"heldout_error": F.l1_loss(made, pictures).item(), "heldout_psnr": -10 * errors.log10().mean().item()}

    def _held_back(self, count: int) -> tuple[Tensor, Tensor]:
        self.ema.copy_to(self.judged)
        pictures = self._pictures(tuple(self.samples.held_back(number) for number in range(count)))
        made = [self._reconstructed(picture[None]) for picture in pictures]
        return pictures, torch.cat(made)

    def _reconstructed(self, pictures: Tensor) -> Tensor:
        with self.accelerator.autocast():
            made = self.judged.decode(self.judged.encode(pictures).latent_dist.mean).sample
        return made.float().clamp(-1, 1)

    @torch.no_grad()
    def grid(self, steps: int) -> np.ndarray:
        """Validation pictures and their reconstructions, one row each, (R·S, 2·S, 3) uint8."""
        count = min(4, self.config.data.validation)
        if not count:
            return np.zeros((1, 1, 3), np.uint8)
        pictures, made = self._held_back(count)
        return images.tensor_to_rgb(torch.cat([pictures, made], dim=3)).reshape(-1, 2 * self.config.data.size, 3)

    # ---- checkpoints and the result ----

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs to go on."""
        return {
            "learner": self.learner.state_dict(),
            "adversary": self.adversary.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "adversary_optimizers": self.adversary_optimizers.state_dict(),
            "ema": self.ema.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name in ("learner", "adversary", "optimizers", "adversary_optimizers", "ema"):
            getattr(self, name).load_state_dict(state[name])

    def finish(self, folder: Path, record: dict[str, Any]) -> None:
        """Write `folder/autoencoder/`, which a student's configuration names as `autoencoder.weights`."""
        vae = self.ema.copy_to(self.judged)
        vae.register_to_config(scaling_factor=self.scaling_factor(), sample_size=self.config.data.size)
        with replacing_folder(folder / "autoencoder") as part:
            vae.save_pretrained(part, safe_serialization=True)
            checkpoints.write_record(part, record)

    @torch.no_grad()
    def scaling_factor(self) -> float:
        """One over the standard deviation of latents of training squares, drawn from their posteriors."""
        squared, total, count = 0.0, 0.0, 0
        for number in range(min(MEASURED, 4 * len(self.samples))):
            posterior = self.judged.encode(self._pictures((self.samples.sample(number),))).latent_dist
            latents = posterior.mean + posterior.std * self._draws((number,))
            squared += latents.square().sum().item()
            total += latents.sum().item()
            count += latents.numel()
        return (squared / count - (total / count) ** 2) ** -0.5
