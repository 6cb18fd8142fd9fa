"""Random numbers that depend only on a key, not on the batch, the device or earlier draws.

SplitMix64 (Steele, Lea & Flood 2014) as operations on tensors: its generator's n-th number is a hash of seed and n, so
all of them are made at once, where they are needed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def bits(keys: Tensor, count: int) -> Tensor:
    """The first `count` 64-bit numbers of SplitMix64 seeded with each key: (B,) int64 -> (B, count) int64."""
    z = keys[:, None] + torch.arange(1, count + 1, device=keys.device) * _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def uniform(keys: Tensor, count: int) -> Tensor:
    """(B,) int64 -> (B, count) float32, multiples of 2^-24 in [0, 1)."""
    return _shifted(bits(keys, count), 40).float() * 2.0**-24


def normal(keys: Tensor, count: int) -> Tensor:
    """(B,) int64 -> (B, count) float32 from N(0, 1), by Box and Muller's transform."""
    half = (count + 1) // 2
    first, second = uniform(keys, 2 * half).chunk(2, dim=1)
    radius, angle = (-2 * torch.log1p(-first)).sqrt(), 2 * math.pi * second
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def _signed(value: int) -> int:
    """A 64-bit constant as torch's int64 has it; products wrap alike."""
    return value - 2**64 if value >= 2**63 else value


def _shifted(z: Tensor, by: int) -> Tensor:
    """A shift to the right that fills with zeros."""
    return (z >> by) & (2 ** (64 - by) - 1)
