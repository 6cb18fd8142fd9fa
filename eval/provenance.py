"""Provenance of measured figures: machine, versions of libraries, commit."""

from __future__ import annotations

import os
import platform
import subprocess

from eval.contestants import ROOT
from moebius import devices

LIBRARIES = (
    "torch",
    "torchvision",
    "diffusers",
    "accelerate",
    "torchmetrics",
    "torch-fidelity",
    "lpips",
    "scikit-learn",
    "numpy",
    "scipy",
    "Pillow",
    "opencv-python-headless",
)


def hardware(device: str) -> dict:
    """The machine: processor, cores, threads, system, device."""
    import torch

    facts = {
        "processor": devices.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": device,
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def versions() -> dict[str, str]:
    """The installed versions of `LIBRARIES` by name."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """The commit of the working tree, with `+changes` if files differ from it; empty outside of git."""
    try:
        head, changes = (
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+changes" if changes else "")
