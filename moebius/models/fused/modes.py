"""The modes that the student can run in, by name; all give the same result up to rounding."""

from __future__ import annotations

from torch import nn

MODES = ("eager", "fused", "compiled", "triton", "triton-compiled")
"""eager: as trained. fused: `fuse()`. compiled: fused, compiled for fixed shapes. triton: fused, with Local-λ's Triton
kernel. triton-compiled: both. The last three are for CUDA, have not run there yet, and are never chosen by default."""


def in_mode(network: nn.Module, mode: str, release: bool = False) -> nn.Module:
    """The student's network, eager or already fused, in a mode.

    Args:
        release: see `MoebiusUNet.fuse`.

    Raises:
        ValueError: there is no such mode, Triton is not installed, or a fused network is asked to be eager.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; choose from {', '.join(MODES)}")
    is_fused = not hasattr(network, "fuse")
    if mode == "eager":
        if is_fused:
            raise ValueError("the network is fused already; load it again to run it eagerly")
        return network
    fused = network if is_fused else network.fuse(release)
    if "triton" in mode:
        fused.set_local_kernel("triton")
    if "compiled" in mode:
        fused.compile_graphs()
    return fused
