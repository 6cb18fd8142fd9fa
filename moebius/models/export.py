"""The student's network as an ONNX file for other runtimes, checked against torch.

What is written is the eager network, whose operations every runtime knows; the fused one (`models/fused`) is made for
torch. The file holds one step, noise prediction; encoding, the scheduler and decoding stay with the caller. On a CPU
torch with the fused network is faster (benchmarks/export.md); the file is for programs and devices without torch.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from moebius.models.unet import MoebiusUNet

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What must be installed: the runtime too, because nothing is written unchecked."""
FILES = ("unet.onnx", "unet.onnx.data", "unet.json")
"""The network, its weights, and what a program needs to call it."""
OPSET = 20
TOLERANCE = 1e-3
"""Largest difference to torch, as a share of the largest value; float32 in another order gives about 1e-5."""


class ExportError(ValueError):
    """The network cannot be exported here, or the file does not give the same numbers."""


def check_packages() -> None:
    """Raises ExportError, naming what to install, where a package is missing."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise ExportError(f"not installed: {', '.join(missing)} (pip install {' '.join(PACKAGES)})")


def export(network: MoebiusUNet, folder: Path, batch: int = 2) -> float:
    """Write `FILES` for one step of `network`, unless its numbers are others than torch's.

    Args:
        network: in eval mode, float32, on the CPU.
        batch: samples of a call; 2 for the two branches of guidance.

    Returns:
        The largest difference to torch, see `compare`.

    Raises:
        ExportError: packages are missing, or the numbers differ by more than `TOLERANCE`; then nothing is written.
    """
    check_packages()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".moebius-") as name:
        work = Path(name)
        write_onnx(network, batch, work / FILES[0])
        difference = compare(network, open_onnx(work / FILES[0]), batch)
        if not difference <= TOLERANCE:  # not even NaN passes
            raise ExportError(f"the exported network differs from torch by {difference:.1e}, allowed is {TOLERANCE:g}")
        (work / FILES[2]).write_text(json.dumps(_description(network, batch), indent=2) + "\n")
        for file in FILES:
            os.replace(work / file, folder / file)
    return difference


def make_inputs(network: MoebiusUNet, batch: int, seed: int, timestep: float = 500.0) -> dict[str, np.ndarray]:
    """Random inputs of one call by name: sample (B, 9, h, w) and timestep (B,) float32, token_ids (B, 10) int64."""
    from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS

    side = network.config.sample_size
    shape = (batch, network.config.in_channels, side, side)
    ids = [FOREGROUND_IDS, BACKGROUND_IDS] * batch
    return {
        "sample": np.random.default_rng(seed).standard_normal(shape, np.float32),
        "timestep": np.full(batch, timestep, np.float32),
        "token_ids": np.array(ids[:batch], np.int64),
    }


def compare(network: MoebiusUNet, run: Callable[[dict[str, np.ndarray]], np.ndarray], batch: int) -> float:
    """The largest difference between `run` and torch over three timesteps, as a share of the largest value."""
    import torch

    differences = []
    for seed, timestep in enumerate((999.0, 500.0, 1.0), start=1):
        inputs = make_inputs(network, batch, seed, timestep)
        with torch.no_grad():
            tensors = (torch.from_numpy(value) for value in inputs.values())
            expected = network(*tensors, return_dict=False)[0].numpy()
        differences.append(np.abs(run(inputs) - expected).max() / np.abs(expected).max())
    return float(np.max(differences))  # NaN where one is


def write_onnx(network: MoebiusUNet, batch: int, path: Path) -> None:
    """The network as ONNX, its weights beside it in a file of their own."""
    import torch

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
            return self.network(sample, timestep, token_ids, return_dict=False)[0]

    inputs = make_inputs(network, batch, seed=0)
    with torch.no_grad():
        torch.onnx.export(
            Step().eval(),
            tuple(torch.from_numpy(value) for value in inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["noise"],
            opset_version=OPSET,
            dynamo=True,
            external_data=True,
            verbose=False,
        )


def open_onnx(path: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """What runs a file on the CPU: the inputs of `make_inputs` -> noise (B, 4, h, w) float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(["noise"], inputs)[0]


def _description(network: MoebiusUNet, batch: int) -> dict:
    from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS

    inputs = make_inputs(network, batch, seed=0)
    side = network.config.sample_size
    return {
        "inputs": {name: {"shape": list(value.shape), "dtype": str(value.dtype)} for name, value in inputs.items()},
        "outputs": {"noise": {"shape": [batch, network.config.out_channels, side, side], "dtype": "float32"}},
        "sample": "noisy latents (4), mask (1, 1 = repaint), latents of the masked picture (4)",
        "token_ids": {"background": list(BACKGROUND_IDS), "foreground": list(FOREGROUND_IDS)},
    }
