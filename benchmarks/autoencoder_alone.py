"""What a student's autoencoder alone costs: held-out pictures through it and back, their holes filled with that.

No fill can be better than this on average, so it says before a student is trained whether its autoencoder lets it beat
another filler. Distance in the hole and PSNR as `python -m eval` measures them.

    PYTHONPATH=. python benchmarks/autoencoder_alone.py FOLDER [FOLDER ...]   # of train-vae, or a pipeline's
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from eval.data import dataset as data
from eval.metrics import intervals, perceptual, pixels
from moebius.training.config import Weights
from moebius.training.networks import autoencoder

HELDOUT = Path(__file__).parents[1] / "samples/heldout"


def there_and_back(vae: torch.nn.Module, picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 through the autoencoder, mean latents, float32; borders are mirrored up to its multiple."""
    height, width = picture.shape[:2]
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    x = torch.nn.functional.pad(x, (0, -width % 64, 0, -height % 64), mode="reflect")
    values = vae.decode(vae.encode(x).latent_dist.mode()).sample[0, :, :height, :width].permute(1, 2, 0)
    return ((values + 1) * 127.5).round().clamp(0, 255).byte().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    dataset = data.scan(data.Request(data=str(HELDOUT)), quiet=True)
    bootstrap = intervals.Bootstrap([sample.group for sample in dataset.samples])
    network = perceptual.make("efficientnet-lite0", "cpu")
    for folder in parser.parse_args().folders:
        vae = autoencoder(Weights(weights=folder))
        rows: list[tuple[float, float, float]] = []
        for sample in dataset.samples:
            picture, mask = dataset.load(sample)
            result = there_and_back(vae, picture)
            filled = np.where(mask[..., None], result, picture)
            _, inside = network(pixels.to_bytes([filled]), pixels.to_bytes([picture]), torch.from_numpy(mask)[None])
            everywhere, _ = pixels.psnr(result, picture, mask)
            rows.append((float(inside[0]), pixels.psnr(filled, picture, mask)[1], everywhere))
        print(f"{folder}, {len(rows)} pictures, 95 % intervals over photos")  # noqa: T201
        for name, values in zip(("distance in the hole", "PSNR in the hole", "PSNR"), np.transpose(rows), strict=True):
            found = bootstrap.interval(values)
            print(f"  {name:<22}{found.mean:8.3f}  [{found.low:.3f}, {found.high:.3f}]")  # noqa: T201


if __name__ == "__main__":
    with torch.no_grad():
        main()
