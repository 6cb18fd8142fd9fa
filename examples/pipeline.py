"""Moebius as a diffusers pipeline: `python examples/pipeline.py photo.jpg mask.png -o filled.png`.

For this, and for scripts elsewhere, the package must be installed: `pip install .`.
The pipeline takes whole pictures. For large photos use `moebius.inpaint`, which fills a square around every
hole and leaves all other pixels alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image

from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path, help="same size as the photo; white = repaint")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", default="hustvl/Moebius", help="a folder, or the name on the Hub")
    parser.add_argument("--variant", default="places2")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scheduler", default="ddim", help="ddim, dpm++, unipc or euler")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one picture each")
    options = parser.parse_args()
    try:
        fill(options)
    except (ValueError, OSError) as error:  # a wrong mask, a missing file, no weights: one line with the reason
        parser.exit(1, f"{parser.prog}: {error}\n")
    return 0


def fill(options: argparse.Namespace) -> None:
    # 1. The picture, and where to repaint it (white).
    photo, mask = Image.open(options.photo).convert("RGB"), Image.open(options.mask).convert("L")

    # 2. Load. The parts are diffusers': pipe.unet, pipe.vae, pipe.scheduler; swap, move or cast them as usual.
    pipe = MoebiusInpaintPipeline.from_published(options.weights, options.variant)
    pipe.scheduler = make_scheduler(options.scheduler)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")

    # 3. One call a seed; a generator makes it repeatable.
    for seed in options.seeds:
        result = pipe(
            image=photo,
            mask_image=mask,
            num_inference_steps=options.steps,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(seed),
            callback_on_step_end=lambda pipe, step, timestep, tensors: tensors,  # watch or change `latents` here
        )
        several = len(options.seeds) > 1
        path = options.output.with_stem(f"{options.output.stem}_{seed}") if several else options.output
        result.images[0].save(path)
        sys.stdout.write(f"{path}\n")

    # 4. To keep it in diffusers' own layout: pipe.save_pretrained("folder"), and later
    #    MoebiusInpaintPipeline.from_pretrained("folder").


if __name__ == "__main__":
    sys.exit(main())
