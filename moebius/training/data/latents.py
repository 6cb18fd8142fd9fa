"""Latents of samples, made by the frozen autoencoder: when they are used, or once, into a cache on disk.

A cache is a folder of shards (safetensors, float16) and a manifest that binds it to data, settings and autoencoder.
An interrupted build resumes where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from moebius.files import read_json, replacing, write_atomic
from moebius.models.block_autoencoder import pixels_per_latent
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS
from moebius.photo import images
from moebius.training.config import ConfigError, Data, plain
from moebius.training.data.samples import Sample, Samples, shuffled

CACHE_MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Latents of pictures and of the same with their holes grey, times the autoencoder's scaling factor."""

    mean: Tensor
    """(B, 2, C, h, w) float32: the posteriors of the picture and of the masked picture."""
    std: Tensor
    """(B, 2, C, h, w)."""
    hole: Tensor
    """(B, 1, h, w) float32, 1 = hole."""
    token_ids: Tensor
    """(B, 10) int64."""

    def latents(self, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, C, h, w) of the picture and of the masked picture, drawn by N(0, 1) (B, 2, C, h, w)."""
        both = self.mean + self.std * posterior
        return both[:, 0], both[:, 1]


class BatchSource(Protocol):
    """Makes batches: `prepare` runs in threads, for one number at a time; `collate` runs on the training thread."""

    def prepare(self, position: int) -> Any: ...

    def collate(self, prepared: list) -> Batch: ...


class Encoder:
    """The frozen autoencoder: samples -> Batch, on a device."""

    def __init__(self, vae: AutoencoderKL, device: torch.device, part: int = 8, autocast: Callable = nullcontext):
        """part: pictures that are encoded at once. autocast: a context to encode in, such as accelerate's."""
        self.vae, self.device, self.part, self.autocast = vae.requires_grad_(False).eval(), device, part, autocast

    @property
    def channels(self) -> int:
        return self.vae.config.latent_channels

    @property
    def factor(self) -> int:
        """Pixels per latent along a side."""
        return pixels_per_latent(self.vae.config)

    def __call__(self, samples: list[Sample]) -> Batch:
        pictures = images.rgb_to_tensor(np.stack([sample.picture for sample in samples])).to(self.device)
        holes = torch.from_numpy(np.stack([sample.mask for sample in samples])).unsqueeze(1).to(self.device).float()
        return self.encode(pictures, holes, [sample.foreground for sample in samples])

    @torch.no_grad()
    def encode(self, pictures: Tensor, holes: Tensor, foreground: list[bool]) -> Batch:
        """Pictures (B, 3, S, S) in [-1, 1] and holes (B, 1, S, S), 1 = hole, on the device."""
        parts = [self._encode(*part) for part in zip(pictures.split(self.part), holes.split(self.part), strict=True)]
        mean, std, hole = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return Batch(mean=mean, std=std, hole=hole, token_ids=tokens(foreground, self.device))

    def _encode(self, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.stack([picture, picture * (1 - mask)], dim=1)  # (B, 2, 3, S, S), holes are mid-grey
        with self.autocast():
            posterior = self.vae.encode(both.flatten(0, 1).to(self.vae.dtype)).latent_dist
        mean, std = (x.float().unflatten(0, (-1, 2)) for x in (posterior.mean, posterior.std))
        scale = self.vae.config.scaling_factor
        return mean * scale, std * scale, F.interpolate(mask, size=mean.shape[-2:], mode="nearest")


def tokens(foreground: list[bool], device: torch.device) -> Tensor:
    """Rows of the token table, (B, 10): the foreground's for objects, the background's for everything else."""
    return torch.tensor([FOREGROUND_IDS if inside else BACKGROUND_IDS for inside in foreground], device=device)


class Fresh:
    """Encodes samples when they are used: every use of a picture has another crop and another hole."""

    def __init__(self, samples: Samples, encoder: Encoder):
        self.prepare, self.collate = samples.sample, encoder


class Cached:
    """Reads what `build_cache` wrote."""

    def __init__(self, folder: Path, seed: int, device: torch.device):
        manifest = read_json(folder / CACHE_MANIFEST, ConfigError)
        self.folder, self.seed, self.device = folder, seed, device
        self.count, self.shard_size = manifest["count"], manifest["shard_size"]

    def prepare(self, position: int) -> dict[str, Tensor]:
        epoch, place = divmod(position, self.count)
        shard, row = divmod(shuffled(self.seed, epoch, self.count)[place], self.shard_size)
        file = _opened(self.folder / shard_name(shard))
        return {name: file.get_slice(name)[row] for name in ("mean", "std", "hole", "foreground")}

    def collate(self, prepared: list[dict[str, Tensor]]) -> Batch:
        mean, std, hole = (
            torch.stack([row[name] for row in prepared]).to(self.device, non_blocking=True).float()
            for name in ("mean", "std", "hole")
        )
        foreground = [bool(row["foreground"]) for row in prepared]
        return Batch(mean=mean, std=std, hole=hole.unsqueeze(1), token_ids=tokens(foreground, self.device))


def build_cache(
    samples: Samples,
    encoder: Encoder,
    config: Data,
    rank: int = 0,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> None:
    """Write the missing shards; each of `processes` processes writes those of its rank.

    Raises:
        ConfigError: the folder holds latents of other data, settings or another autoencoder.
    """
    folder, count = config.cache, len(samples) * config.cache_variants
    manifest = cache_identity(samples, encoder, config) | {"count": count, "shard_size": config.shard_size}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CACHE_MANIFEST
    if path.is_file():
        written = read_json(path, ConfigError)
        if different := sorted(key for key in manifest if written.get(key) != manifest[key]):
            raise ConfigError(f"{folder} holds latents of another {', '.join(different)}; give another data.cache")
    elif rank == 0:
        write_atomic(path, json.dumps(manifest, indent=2).encode())
    shards = range(rank, -(-count // config.shard_size), processes)
    for done, shard in enumerate(shards):
        progress(done, len(shards))
        if (folder / shard_name(shard)).is_file():
            continue
        rows = range(shard * config.shard_size, min((shard + 1) * config.shard_size, count))
        batches = []
        for start in range(0, len(rows), encoder.part):
            part = rows[start : start + encoder.part]
            batches.append(encoder([samples.drawn(row // config.cache_variants, f"cache:{row}") for row in part]))
        _write_shard(folder / shard_name(shard), batches)
    progress(len(shards), len(shards))


def cache_identity(samples: Samples, encoder: Encoder, config: Data) -> dict:
    """Everything that the latents depend on."""
    items = sha256()
    for source, item in samples.items:
        items.update(source.found[item].sha256.encode())
    weights = sha256()
    for name, tensor in sorted(encoder.vae.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    data = plain(config)
    kept = {key: data[key] for key in ("size", "crop", "flip", "cache_variants")}
    sources = [{key: source[key] for key in ("kind", "masks", "repeat")} for source in data["sources"]]
    return {
        "pictures": items.hexdigest(),
        "autoencoder": weights.hexdigest(),
        "settings": kept | {"sources": sources},
        "seed": samples.seed,
    }


def shard_name(shard: int) -> str:
    return f"latents-{shard:05d}.safetensors"


@lru_cache(maxsize=64)
def _opened(path: Path) -> safe_open:
    return safe_open(path, framework="pt", device="cpu")


def _write_shard(path: Path, batches: list[Batch]) -> None:
    tensors = {name: torch.cat([getattr(batch, name).cpu() for batch in batches]).half() for name in ("mean", "std")}
    tensors["hole"] = torch.cat([batch.hole[:, 0].cpu() for batch in batches]).byte()
    ids = torch.cat([batch.token_ids.cpu() for batch in batches])
    tensors["foreground"] = (ids[:, 0] == FOREGROUND_IDS[0]).byte()
    with replacing(path, sync=False) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
