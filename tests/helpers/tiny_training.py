"""What the tests of training share: synthetic photos, an autoencoder that was never trained, configurations."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tests.helpers.deterministic import picture
from tests.helpers.forked import Command

ROOT = Path(__file__).parents[2]
STUDENT = {
    "sample_size": 4,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "num_attention_heads": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 16,
    "encoder_hid_dim": 16,
    "local_window": 3,
}


def photos(folder: Path, count: int = 6, size: int = 48, first: int = 0) -> Path:
    """`count` smooth colourful pictures as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        Image.fromarray(picture(seed, size)).save(folder / f"photo{seed:02d}.png")
    return folder


def autoencoder(folder: Path) -> Path:
    """A random autoencoder, 8 pixels and 4 channels a latent, whose latents of `photos` have a deviation of about 1."""
    from moebius.training.autoencoder import build

    vae = build({"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}, seed=5)
    pixels = torch.stack([torch.from_numpy(picture(seed, 32)) for seed in range(8)]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -12.0  # posteriors as narrow as a trained one's
        vae.register_to_config(scaling_factor=1 / vae.encode(pixels).latent_dist.mean.std().item())
    vae.save_pretrained(folder)
    return folder


def table(folder: Path, out: str = "run", **changes: dict[str, Any]) -> dict[str, Any]:
    """A configuration of seconds, as a table; `changes` go into its tables, key by key."""
    if not (folder / "photos").exists():
        shutil.copytree(_inputs(), folder, dirs_exist_ok=True)
    return settings(folder, out, **changes)


@functools.cache
def _inputs() -> Path:
    """Photos and an autoencoder, made once a test run."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-training-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    photos(folder / "photos")
    autoencoder(folder / "vae")
    return folder


def settings(folder: Path, out: str = "run", **changes: dict[str, Any]) -> dict[str, Any]:
    """The same table without the files that it names."""
    base = {
        "run": {
            "out": str(folder / out),
            "steps": 4,
            "batch_size": 4,
            "device": "cpu",
            "log_every": 1,
            "validate_every": 0,
            "grid_every": 0,
            "checkpoint_every": 2,
            "workers": 1,
        },
        "student": dict(STUDENT),
        "autoencoder": {"weights": str(folder / "vae")},
        "loss": {"output": 0, "feature": 0, "perceptual_kind": "latent-pyramid"},
        "optimizer": {"learning_rate": 1e-3, "warmup_steps": 2},
        "data": {
            "size": 32,
            "validation": 1,
            "sources": [{"kind": "pictures", "path": str(folder / "photos"), "masks": ["mat-small"]}],
        },
    }
    for name, values in changes.items():
        base[name] = base.get(name, {}) | values
    return base


def toml(table: dict[str, Any]) -> str:
    """A table of tables of plain values as TOML; JSON's strings, numbers and arrays are TOML's too."""
    lines = []
    for name, values in table.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_inline(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return json.dumps(value)


def environment(**extra: str) -> dict[str, str]:
    """For a training in a process of its own: one thread, so that neighbours do not wait for each other."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | extra


def start(command: str, file: Path, *options: str, **extra: str) -> Command:
    """`python -m moebius COMMAND FILE …` in a process of its own."""
    return Command("moebius", command, file, *options, environment=environment(**extra))


def trained(folder: Path, out: str, seed: int, steps: int, batch_size: int, rate: float, **changes: Any) -> float:
    """Train one network on one core; the held-out task loss of its average."""
    from moebius.training.config import TrainConfig, build
    from moebius.training.distillation import Distillation
    from moebius.training.loop import accelerator, run

    torch.set_num_threads(1)
    quiet = {"validate_every": 0, "checkpoint_every": 10**6, "log_every": 100}
    data = {"validation": 2, "validation_draws": 8, "cache": str(folder / f"cache{seed}"), "cache_variants": 8}
    configured = table(
        folder,
        out,
        run=quiet | {"steps": steps, "batch_size": batch_size, "seed": seed},
        # Muon's hundreds of small products a step would take half of the time.
        optimizer={"learning_rate": rate, "matrices": "adamw", "warmup_steps": 10, "ema_decay": 0.95},
        data=data,
        **changes,
    )
    config = build(TrainConfig, configured)
    made = Distillation(config, accelerator(config.run))
    run(made, config, made.accelerator)
    return made.validate()["heldout_task"]
