"""What each rewrite of the fused student gives alone: a guided step at 512 with all of them, and with each one
switched off, interleaved. Random weights at the published size; a table in Markdown.

PYTHONPATH=. python benchmarks/student_cpu.py [--dtype bfloat16] [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor, nn

from moebius import devices
from moebius.bench import networks
from moebius.bench.operations import count_operations
from moebius.models.fused import lambda_layers, ops, unet
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet


class AsTrained(nn.Module):
    """A part of the trained network, which takes (B, C, H, W), in the place of its fused mode."""

    def __init__(self, part: Callable[[Tensor], Tensor]):
        super().__init__()
        self.part = [part]

    def forward(self, x: Tensor) -> Tensor:
        return self.part[0](x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()


def with_trained(trained: MoebiusUNet, change: Callable[[unet.Stage, nn.Module], None]) -> unet.FusedMoebiusUNet:
    """The fused network after `change` of each of its stages and the trained one."""
    fast = trained.fuse()
    stages = ((*fast.down_blocks, *fast.up_blocks), (*trained.down_blocks, *trained.up_blocks))
    for ours, theirs in zip(*stages, strict=True):
        change(ours, theirs)
    return fast


def local_lambda(ours: unet.Stage, theirs: nn.Module) -> None:
    for fast, trained in zip(ours.attentions, theirs.attentions, strict=True):
        fast.local_lambda = AsTrained(trained.block.local_lambda)


def mix_ffn(ours: unet.Stage, theirs: nn.Module) -> None:
    for fast, trained in zip(ours.attentions, theirs.attentions, strict=True):
        fast.ff = AsTrained(trained.block.ff)


def separable(ours: unet.Stage, theirs: nn.Module) -> None:
    for fast, trained in zip(ours.resnets, theirs.resnets, strict=True):
        fast.conv1, fast.conv2 = AsTrained(trained.conv1), AsTrained(trained.conv2)


def doubling(ours: unet.Stage, theirs: nn.Module) -> None:
    if (trained := getattr(theirs, "upsampler", None)) is not None:
        ours.step = AsTrained(lambda x: trained(x, (2 * x.shape[2], 2 * x.shape[3])))


class Forgetful(nn.Module):
    """The fused network, which computes again what it has kept from the step before."""

    def __init__(self, fast: unet.FusedMoebiusUNet):
        super().__init__()
        self.fast = [fast]

    def forward(self, *args, **kwargs):
        (fast,) = self.fast
        fast._times.clear()
        fast._kept = None
        return fast(*args, **kwargs)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps, each after one that warms up")
    options = parser.parse_args()
    kind = devices.named_dtype(options.dtype)
    trained = networks.network("moebius", "cpu", kind, tiny=False)
    fast = trained.fuse()
    keep = devices.keep_freed_memory
    ways = {  # name: network, samples for two conditions, context managers around a step
        "all": (fast, 1, (keep,)),
        "freed memory kept during the steps": (fast, 1, ()),
        "what the branches share computed once": (fast, 2, (keep,)),
        "Local-λ as attention in tiles, without (k, v, n)": (with_trained(trained, local_lambda), 1, (keep,)),
        "tiles in Local-λ": (fast, 1, (keep, lambda: mock.patch.dict(lambda_layers._TILES, {True: 1, False: 1}))),
        "Mix-FFN in (B, H, W, C) and in pieces": (with_trained(trained, mix_ffn), 1, (keep,)),
        "separable convolutions with BatchNorm folded": (with_trained(trained, separable), 1, (keep,)),
        "nearest ×2 and 3×3 as four 2×2": (with_trained(trained, doubling), 1, (keep,)),
        "products by oneDNN": (fast, 1, (keep, lambda: mock.patch.object(ops, "_onednn_dtypes", lambda: ()))),
        "constants of condition and time kept": (Forgetful(fast), 1, (keep,)),
    }
    side, channels = trained.config.sample_size, trained.config.in_channels
    sample = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0)).to(kind)
    ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])

    def step(network: nn.Module, samples: int, managers: tuple, repeats: int = 2) -> float:
        with contextlib.ExitStack() as stack:
            for manager in managers:
                stack.enter_context(manager())
            for _ in range(repeats):  # the second counts: in a fill what is kept is there already
                started = time.perf_counter()
                network(sample.repeat(samples, 1, 1, 1), 500, ids, return_dict=False)
                taken = time.perf_counter() - started
            return taken

    large = torch.ones(2048, 2048, dtype=kind)
    gflop = {name: count_operations(lambda way=way: step(*way, repeats=1)) / 1e9 for name, way in ways.items()}
    seconds, rates = {name: [] for name in ways}, []
    for _ in range(options.rounds):
        for name, way in ways.items():
            seconds[name].append(step(*way))
        started = time.perf_counter()
        ops.product(large, large)
        rates.append(2 * 2048**3 / 1e9 / (time.perf_counter() - started))
    rate, base = max(rates), statistics.median(seconds["all"])
    print(f"{options.dtype}, torch {torch.__version__}, {torch.get_num_threads()} threads, N = {options.rounds}: ")  # noqa: T201
    print("| without | GFLOP | more by the products alone, ms | measured, s | more, ms |\n|---|---|---|---|---|")  # noqa: T201
    for name, all_ in seconds.items():
        median, more = statistics.median(all_), gflop[name] - gflop["all"]
        predicted = f"{1000 * more / rate:.0f}" if abs(more) > 0.05 else "0"
        print(f"| {name} | {gflop[name]:.1f} | {predicted} | {median:.3f} | {1000 * (median - base):.0f} |")  # noqa: T201


if __name__ == "__main__":
    main()
