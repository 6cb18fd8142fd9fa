"""The number type of the student: the fast one if this processor is faster with it and if its results are close to
float32's, which is tested once per checkpoint."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import devices, environment
from moebius.files import read_json, sha256, write_atomic
from moebius.weights import catalog

if TYPE_CHECKING:
    import torch

    from moebius.progress import Progress
    from moebius.weights.denoiser import WeightFiles

TOLERANCE = 0.02
"""Largest relative difference from float32, of a step's noise and of a decoded picture."""
WORTH = 1.2
"""How many times faster bfloat16's products must be on a processor to be used."""


def choose(
    files: WeightFiles, device: str, asked: str | None, progress: Progress = lambda share, text: None
) -> tuple[torch.dtype, tuple[str, ...]]:
    """The type in which to load these weights, and notes for the user.

    asked: a name in `devices.DTYPES`; it is used, with a note if it is not accurate. None: float32, but for the student
        on a CPU the fastest type there, unless its results differ by more than `TOLERANCE` with these weights.
    """
    import torch

    on_cpu = torch.device(device).type == "cpu"
    may_be_fast = catalog.DENOISERS[files.network].may_run_in_bfloat16
    fast = devices.named_dtype(asked, fastest_on_cpu() if on_cpu and may_be_fast else "float32")
    if fast == torch.float32 or not may_be_fast:
        return fast, ()
    found = inaccurate(files, device, fast, progress)
    if not found:
        return fast, ()
    if asked:
        return fast, (f"{found}; it was asked for, so it is used.",)
    return torch.float32, (f"{found}, so the slower float32 is used.",)


def inaccurate(
    files: WeightFiles, device: str, dtype: torch.dtype, progress: Progress = lambda share, text: None
) -> str:
    """A sentence on the error of `dtype` with these weights if a step or a decoded picture differs from float32 by more
    than `TOLERANCE`; else empty."""
    step, decode = differences(files, device, dtype, progress)
    if step <= TOLERANCE and decode <= TOLERANCE:  # not so for NaN
        return ""
    name = str(dtype).removeprefix("torch.")
    return (
        f"{name} differs from float32 by {step:.1%} in a step and {decode:.1%} in a decoded picture with these weights "
        f"(allowed: {TOLERANCE:.0%})"
    )


@functools.cache
def fastest_on_cpu() -> str:
    """`bfloat16` if this processor multiplies it much faster than float32, else `float32`; measured in 0.1 s."""
    import torch

    from moebius.models.fused.ops import product

    best = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(2048, 320, dtype=dtype), torch.ones(1600, 320, dtype=dtype)  # as in Mix-FFN
        times = []
        for _ in range(6):
            started = time.perf_counter()
            product(x, weight)
            times.append(time.perf_counter() - started)
            if sum(times) > 0.3:  # an emulated type: slow enough to stop
                break
        best[dtype] = min(times)
    return "bfloat16" if WORTH * best[torch.bfloat16] < best[torch.float32] else "float32"


def differences(
    files: WeightFiles, device: str, dtype: torch.dtype, progress: Progress = lambda share, text: None
) -> tuple[float, float]:
    """Relative error of `dtype` against float32 with these weights: of one step, and of one decoded picture.

    Computed the first time, at half the grid's side, and kept in the user's cache by the weights' SHA-256.
    """
    import torch

    name = str(dtype).removeprefix("torch.")
    key = f"{_identity(files)} {name} {torch.device(device).type} torch {torch.__version__}"
    kept = _read(progress)
    if key not in kept:
        progress(0.0, f"Checking {name} once")
        reference, fast = (_try(files, device, kind) for kind in (torch.float32, dtype))
        devices.release_memory()
        pairs = zip(fast, reference, strict=True)
        kept = _read(progress) | {key: [float((ours - right).norm() / right.norm()) for ours, right in pairs]}
        _write(kept)
    step, decode = kept[key]
    return step, decode


def _try(files: WeightFiles, device: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """One step's prediction (2, C, h, w) and one decoded picture in `dtype`, as float32 on the CPU.

    float32 uses the network as it was trained: making its fused version, too, would need more memory than any fill in
    bfloat16.
    """
    import torch

    from moebius.inpainters.networks import load_autoencoder, load_denoiser
    from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS
    from moebius.weights import load

    generator = torch.Generator().manual_seed(0)
    if dtype == torch.float32:
        with devices.return_freed_memory():
            unet = load.load_denoiser(files, dtype).to(device)
    else:
        unet = load_denoiser(files, device, dtype)
    side = unet.config.sample_size // 2
    sample = torch.randn(2, unet.config.in_channels, side, side, generator=generator)
    channels = unet.config.out_channels
    sample[:, channels] = (sample[:, channels] > 0).float()  # the mask
    latents = sample[:1, :channels]
    ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS], device=device)
    with torch.no_grad():
        noise = unet(sample.to(device, dtype), 500, ids, return_dict=False)[0].float().cpu()
        del unet  # never both networks in memory
        devices.release_memory()
        vae = load_autoencoder(files, device, dtype)
        picture = vae.decode(latents.to(device, vae.dtype)).sample.float().cpu()
    return noise, picture


@functools.lru_cache(maxsize=8)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    return sha256(path)


def _identity(files: WeightFiles) -> str:
    stats = [(path, path.stat()) for path in (files.denoiser, files.autoencoder)]
    return " ".join(_sha256(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def cache_file() -> Path:
    return environment.cache_folder() / "precision.json"


def _read(progress: Progress) -> dict[str, list[float]]:
    """The kept errors; empty if the file is missing or, with a message, damaged: then they are computed again."""
    path = cache_file()
    if not path.is_file():
        return {}
    try:
        kept = read_json(path)
    except (OSError, ValueError) as error:
        progress(0.0, f"Earlier checks cannot be read ({error}); checking again")
        return {}
    good = {key: pair for key, pair in kept.items() if isinstance(pair, list) and list(map(type, pair)) == [float] * 2}
    if len(good) < len(kept):
        progress(0.0, f"{path} has entries that are not pairs of numbers; these are checked again")
    return good


def _write(kept: dict[str, list[float]]) -> None:
    """Write the cache; if that fails, the check is repeated the next time."""
    path = cache_file()
    with contextlib.suppress(OSError):
        write_atomic(path, json.dumps(kept, indent=1).encode(), sync=False, make_folder=True)
