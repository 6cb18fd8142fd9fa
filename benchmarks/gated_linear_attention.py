"""Seconds of gated linear attention by chunk size, at the four grids of PixelHacker: what gla.CHUNK_SIZE was chosen by.

PYTHONPATH=. python benchmarks/gated_linear_attention.py [--device cuda]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from moebius import devices
from moebius.models.gla import gated_linear_attention

GRIDS = ((4096, 20, 40), (1024, 40, 80), (256, 80, 160), (64, 80, 160))
"""(positions, depth of keys, depth of values) for 512 × 512 pictures; 8 heads, batch 2: one guided step."""
CHUNK_SIZES = (8, 16, 32, 64, 128)


def milliseconds(n: int, key_depth: int, value_depth: int, chunk_size: int, device: str, backward: bool) -> float:
    """Median of nine runs after two to warm up."""
    generator = torch.Generator().manual_seed(0)

    def draw(depth: int) -> torch.Tensor:
        return torch.randn(2, 8, n, depth, generator=generator).to(device).requires_grad_(backward)

    q, k, v, gates = draw(key_depth), draw(key_depth), draw(value_depth), draw(key_depth)
    runs = []
    for _ in range(11):
        devices.synchronize(device)
        started = time.perf_counter()
        out = gated_linear_attention(q, k, v, torch.nn.functional.logsigmoid(gates) / 16, chunk_size)
        if backward:
            out.sum().backward()
        devices.synchronize(device)
        runs.append(1000 * (time.perf_counter() - started))
    return statistics.median(runs[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default=None)
    device = parser.parse_args().device or devices.best_device()
    print(f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads; ms forward / forward and backward")  # noqa: T201
    for n, key_depth, value_depth in GRIDS:
        cells = []
        for chunk_size in CHUNK_SIZES:
            if chunk_size > n:
                continue
            with torch.no_grad():
                forward = milliseconds(n, key_depth, value_depth, chunk_size, device, backward=False)
            both = milliseconds(n, key_depth, value_depth, chunk_size, device, backward=True)
            cells.append(f"{chunk_size}: {forward:.1f} / {both:.1f}")
        print(f"n = {n}, d_k = {key_depth}, d_v = {value_depth}   " + "   ".join(cells))  # noqa: T201


if __name__ == "__main__":
    main()
