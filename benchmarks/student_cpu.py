"""Seconds of one guided step of the student on this CPU: trained and fast form, float32 and bfloat16, interleaved.

python benchmarks/student_cpu.py --weights DIR [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from moebius import weights
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="as for `python -m moebius inpaint`")
    parser.add_argument("--rounds", type=int, default=5, help="the first one warms up and is not counted")
    options = parser.parse_args()
    files = weights.locate(None, options.weights)
    networks = {}
    for dtype in (torch.float32, torch.bfloat16):
        trained = weights.load_denoiser(files, dtype)
        networks["trained", dtype], networks["fast", dtype] = trained, trained.fuse()
    side = trained.config.sample_size
    sample = torch.randn(2, trained.config.in_channels, side, side, generator=torch.Generator().manual_seed(0))
    token_ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])
    seconds = {key: [] for key in networks}
    for _ in range(options.rounds):
        for key, network in networks.items():
            started = time.perf_counter()
            network(sample.to(key[1]), 500, token_ids)
            seconds[key].append(time.perf_counter() - started)
    yardstick = statistics.median(seconds["trained", torch.float32][1:])
    for (form, dtype), all_ in seconds.items():
        median = statistics.median(all_[1:])
        name = str(dtype).removeprefix("torch.")
        print(f"{form:8s}{name:10s}{median:7.3f} s  {yardstick / median:5.2f}x  worst {max(all_[1:]):.3f} s")  # noqa: T201


if __name__ == "__main__":
    main()
