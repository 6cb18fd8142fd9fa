"""What a fill costs beside time: peak memory; and what it was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import contextmanager
from pathlib import Path

from eval.contestants import ROOT
from moebius import devices

LIBRARIES = (
    "torch", "torchvision", "diffusers", "accelerate", "torchmetrics", "torch-fidelity", "lpips", "scikit-learn",
    "numpy", "scipy", "Pillow", "opencv-python-headless",
)  # fmt: skip


@contextmanager
def peak_memory(device: str):
    """Most memory while the block runs: yields a dict that afterwards holds `process_gib` and, on CUDA, `gpu_gib`.

    The process' number is its resident set on Linux, everything loaded included; None where it cannot be told.
    """
    told: dict[str, float | None] = {"process_gib": None, "gpu_gib": None}
    on_gpu = device.startswith("cuda")
    if on_gpu:
        import torch

        torch.cuda.reset_peak_memory_stats()
    told_by_kernel = _forget_peak()
    try:
        yield told
    finally:
        if told_by_kernel:
            told["process_gib"] = _peak_gib()
        if on_gpu:
            told["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)


def _forget_peak() -> bool:
    """Reset the kernel's peak of our resident set; False where there is no such thing."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def _peak_gib() -> float | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 2**20, 3)  # the kernel says kB and means KiB
    return None


def hardware(device: str) -> dict:
    """What the figures were measured on."""
    import torch

    told = {
        "processor": devices.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": device,
    }
    if device.startswith("cuda"):
        told["gpu"] = torch.cuda.get_device_name(device)
        told["cuda"] = torch.version.cuda
    return told


def versions() -> dict[str, str]:
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
        said = [subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
                for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))]  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said[0] + ("+changes" if said[1] else "")
