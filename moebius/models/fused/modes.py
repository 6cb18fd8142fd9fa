"""The forms that the student can run in, by name; all give the same result up to rounding."""

from __future__ import annotations

from torch import nn

FORMS = ("trained", "fast", "compiled", "triton", "triton-compiled")
"""As published; `fuse()`; that compiled for fixed shapes; that with Local-λ's Triton kernel; both. The last three are
for CUDA, not run there yet, and never chosen by themselves."""


def as_form(network: nn.Module, form: str, release: bool = False) -> nn.Module:
    """The student's network, trained or already fused, in a form.

    release: see `MoebiusUNet.fuse`.

    Raises:
        ValueError: there is no such form, Triton is not installed, or the network has left its trained form.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; choose from {', '.join(FORMS)}")
    fused = not hasattr(network, "fuse")
    if form == "trained":
        if fused:
            raise ValueError("the network is in its fast form already; load it again for the trained one")
        return network
    fast = network if fused else network.fuse(release)
    if "triton" in form:
        fast.set_local_kernel("triton")
    if "compiled" in form:
        fast.compile_graphs()
    return fast
