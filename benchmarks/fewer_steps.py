"""How far fewer steps, other samplers and guidance in part of the steps land from 20 steps of DDIM.

PYTHONPATH=. python benchmarks/fewer_steps.py --weights DIR [--pictures N]

Writes fewer_steps.md and fewer_steps.svg beside itself. The distance is ‖z − z₂₀‖ / ‖z₂₀‖ of the latents in the hole.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from eval.report.plots import Point, lines
from moebius.config import SCHEDULERS
from moebius.inpainters.networks import load_autoencoder, load_denoiser
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.weights import load as weights

STEPS = (4, 6, 8, 10, 14, 20)
SHARES = (0.0, 0.25, 0.5, 0.75)
HERE = Path(__file__).parent


def latents(pipeline: MoebiusInpaintPipeline, seed: int, scheduler: str, steps: int, share: float = 1.0):
    """(4, n) latents of the hole of a random smooth picture; the noise depends on the seed alone."""
    random, side = np.random.default_rng(seed), pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    coarse = torch.from_numpy(random.random((1, 3, 8, 8), dtype=np.float32))
    picture = F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    mask = torch.zeros(1, 1, side, side)
    mask[..., side // 4 : side // 2, side // 4 : 3 * side // 4] = 1
    pipeline.scheduler = make_scheduler(scheduler)
    settings = {"num_inference_steps": steps, "guidance_share": share, "output_type": "latent"}
    z = pipeline(picture, mask, generator=torch.Generator().manual_seed(seed), **settings).images[0]
    return z[:, F.interpolate(mask, z.shape[-2:], mode="nearest")[0, 0] > 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="as for `python -m moebius inpaint`")
    parser.add_argument("--pictures", type=int, default=3)
    options = parser.parse_args()
    files = weights.locate(None, options.weights)
    unet, vae = (load(files, "cpu", torch.float32) for load in (load_denoiser, load_autoencoder))
    pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    references = [latents(pipeline, seed, "ddim", 20) for seed in range(options.pictures)]

    def distance(*way) -> float:
        found = [latents(pipeline, seed, *way) for seed in range(options.pictures)]
        return statistics.mean(
            float((z - right).norm() / right.norm()) for z, right in zip(found, references, strict=True)
        )

    table = {name: [distance(name, steps) for steps in STEPS] for name in SCHEDULERS}
    shares = {steps: [distance("ddim", steps, share) for share in SHARES] for steps in (20, 10)}
    points = {name: [Point(x=i, y=y) for i, y in enumerate(row)] for name, row in table.items()}
    title = "Distance to 20 steps of DDIM, same noise"
    svg = lines(title, "steps", "relative distance of the latents in the hole", [str(s) for s in STEPS], points)
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)  # a file of its own
    (HERE / "fewer_steps.svg").write_text(svg, encoding="utf-8")
    text = [
        "# Fewer steps",
        "",
        f"`PYTHONPATH=. python benchmarks/fewer_steps.py --weights DIR --pictures {options.pictures}`, float32, "
        f"{unet.num_parameters() / 1e6:.1f} M parameters, N = {options.pictures} pictures, torch {torch.__version__}.",
        "Relative distance ‖z − z₂₀‖ / ‖z₂₀‖ of the latents in the hole to those of 20 guided steps of DDIM from the",
        "same noise. **With random stand-in weights these figures say little about a trained student**: they show that",
        "every option runs and what the samplers differ by among themselves. Run it with trained weights before",
        "changing a default; the default stays 20 steps of DDIM, all guided.",
        "",
        "![distances](fewer_steps.svg)",
        "",
        "| sampler | " + " | ".join(f"{steps} steps" for steps in STEPS) + " |",
        "|---" * (len(STEPS) + 1) + "|",
        *(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |" for name, row in table.items()),
        "",
        "Guidance in the first share of the steps only, DDIM (`--guidance-share`); a step without it costs half:",
        "",
        "| steps | " + " | ".join(f"{share:.0%} guided" for share in SHARES) + " |",
        "|---" * (len(SHARES) + 1) + "|",
        *(f"| {steps} | " + " | ".join(f"{value:.3f}" for value in row) + " |" for steps, row in shares.items()),
    ]
    (HERE / "fewer_steps.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
