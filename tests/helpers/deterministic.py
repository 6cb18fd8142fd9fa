"""Deterministic parameters, inputs and pictures: the rule that the reference vectors in `data/` were made
with.

Only numpy's frozen `RandomState` stream is used, so the values never change between versions. Parameters are
drawn by their published state-dict key: a network with the published keys and shapes, filled so, gives the
vectors.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from tests.helpers import normals

LARGE = 1_000_000
"""Values from which on numba is worth its compilation."""


def values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 array for the parameter or buffer with the published key `key` (int64 for batch counters)."""
    stream = np.random.RandomState(zlib.crc32(key.encode()))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.ones(shape, np.int64)
    if leaf == "running_var":
        return (0.75 + 0.5 * stream.random_sample(shape)).astype(np.float32)
    if math.prod(shape) > LARGE:
        noise = normals.standard_normal(zlib.crc32(key.encode()), math.prod(shape)).reshape(shape)
    else:
        noise = stream.standard_normal(shape).astype(np.float32)
    if leaf in ("running_mean", "rel_pos_emb"):
        return 0.1 * noise
    if key.endswith("embedding_layer.weight"):
        return noise
    if len(shape) >= 2:  # linear and convolution weights: unit gain
        return noise / np.float32(np.sqrt(np.prod(shape[1:])))
    if leaf == "weight":  # scales of normalisations
        return 1 + 0.1 * noise
    return 0.05 * noise  # biases


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers made inside have the weights that `seed` gives; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def fill_(module: torch.nn.Module, rename: Callable[[str], str] = lambda key: key) -> torch.nn.Module:
    """Set every parameter and buffer of `module` in place; `rename` maps its keys to the published ones."""
    for key, tensor in module.state_dict().items():
        tensor.copy_(torch.from_numpy(np.asarray(values(rename(key), tuple(tensor.shape)))))
    return module


def normal(seed: int, *shape: int) -> torch.Tensor:
    """float32 standard-normal input tensor."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def picture(seed: int, size: int) -> np.ndarray:
    """A smooth colourful picture, (size, size, 3) uint8."""
    stream = np.random.RandomState(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in stream.uniform(-3, 3, (9, 3))]
    rgb = np.stack([sum(waves[i::3]) for i in range(3)], -1)
    return ((rgb / 6 + 0.5).clip(0, 1) * 255).astype(np.uint8)


def hole(seed: int, size: int) -> np.ndarray:
    """A mask of an ellipse and a bar, (size, size) uint8, 255 = repaint."""
    stream = np.random.RandomState(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    cx, cy, rx, ry = stream.uniform(0.35, 0.65, 2).tolist() + stream.uniform(0.1, 0.25, 2).tolist()
    ellipse = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    at = stream.uniform(0.1, 0.8)
    bar = (y > at) & (y < at + 0.06)
    return ((ellipse | bar) * 255).astype(np.uint8)
