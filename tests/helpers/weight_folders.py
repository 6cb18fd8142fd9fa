"""Folders of stand-in weights: copies, changed copies, and pipelines saved as a folder."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from moebius.pipeline import MoebiusInpaintPipeline
from moebius.weights import save
from moebius.weights.denoiser import WeightFiles

BIN = "diffusion_pytorch_model.bin"


def copy_of(published: Path, folder: Path) -> Path:
    """The stand-in weights again, in links that may be replaced."""
    for path in published.rglob("*.*"):
        if path.is_file():
            target = folder / path.relative_to(published)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return folder


def changed(published: Path, folder: Path, change: Callable[[dict], object], network: str = "ft_places2") -> Path:
    """A copy whose state dict went through `change`; returns the file."""
    copy_of(published, folder)
    file = folder / network / BIN
    state = torch.load(file, weights_only=True)
    change(state)
    file.unlink()
    torch.save(state, file)
    return file


def save_folder(files: WeightFiles, target: Path, dtype: torch.dtype | None = None, **options) -> dict:
    """Load the weights and save them as a pipeline folder; returns the manifest."""
    return save.save(MoebiusInpaintPipeline.from_files(files, dtype), files, target, **options)
