"""The networks of a run: the student to be trained and the frozen autoencoder."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from moebius.models.blocks import ResidualBlock, Transformer
from moebius.models.unet import MoebiusUNet
from moebius.training.config import ConfigError, Weights
from moebius.weights import denoiser, locate


def student(table: Mapping[str, Any], seed: int) -> MoebiusUNet:
    """The student that a configuration describes, with random weights from `seed` or those that `init` names.

    Raises:
        ConfigError: an unknown argument of `MoebiusUNet`, or a value that it refuses.
    """
    from moebius.weights import load

    if "init" in table:
        if len(table) > 1:
            raise ConfigError(f"student.init brings its own sizes; drop {', '.join(set(table) - {'init'})}")
        files = locate.locate(None, Path(table["init"]))
        return load.load_denoiser(files, torch.float32).requires_grad_(True).train()
    allowed = [name for name in inspect.signature(MoebiusUNet.__init__).parameters if name != "self"]
    if unknown := sorted(set(table) - set(allowed)):
        raise ConfigError(f"unknown key student.{unknown[0]}; allowed here: init, {', '.join(allowed)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return MoebiusUNet(**table).train()
        except (ValueError, TypeError) as error:
            raise ConfigError(f"student: {error}") from error


def autoencoder(config: Weights) -> AutoencoderKL:
    """A trained autoencoder in float32, in eval mode.

    Its folder is what `train-vae` writes (config.json and the weights), or holds such a `vae/`: a pipeline's folder, a
    copy of the published repository.

    Raises:
        ConfigError, WeightsError: it is missing or cannot be read.
    """
    from moebius.weights import load

    if config.weights is None:
        files = locate.locate(config.variant, network="pixelhacker")
        return load.load_autoencoder(files, torch.float32)
    for folder in (config.weights, config.weights / "vae"):
        path = denoiser.weights_in(folder)
        if path is not None and (folder / "config.json").is_file():
            break
    else:
        raise ConfigError(f"autoencoder.weights: {config.weights} holds no autoencoder (config.json and its weights)")
    files = denoiser.WeightFiles(
        network="moebius", variant=None, denoiser=path, autoencoder=path, layout="diffusers", where=str(folder)
    )
    return load.load_autoencoder(files, torch.float32)


def compile_blocks(network: torch.nn.Module) -> None:
    """torch.compile on the blocks, each kind of which is compiled once for each of its shapes."""
    keep_graphs()
    for module in network.modules():
        if isinstance(module, ResidualBlock | Transformer):
            module.compile()


def keep_graphs() -> None:
    """Compiled graphs may be gone through twice: for gradient norms, before the step's own gradients."""
    import torch._functorch.config

    torch._functorch.config.donated_buffer = False
