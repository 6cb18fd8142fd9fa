"""Memory plans of FLUX.1 Fill [dev]: how its transformer is stored and where, best first. No torch in this file.

No plan includes the text encoders: a prompt is encoded first, and they are unloaded before the transformer is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from moebius.devices import Memory
from moebius.units import file_size

WORK_BYTES = 2_500_000_000
"""About how much memory one fill needs besides the weights, at 1024 × 1024 with the autoencoder in tiles."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the transformer is stored, and where it is while it does not run."""

    name: str
    text: str
    devices: tuple[str, ...]
    storage: Literal["bf16", "fp8", "nf4", "gguf"] = "bf16"
    offload: Literal["none", "model", "group", "sequential"] = "none"
    gpu_share: float
    """Part of the transformer's bytes in bfloat16 that is on the device at a time."""
    ram_share: float
    """The same in main memory, at most, while loading or later."""
    packages: tuple[str, ...] = ()
    """What must be importable."""

    def needs(self, transformer_bytes: int, gguf_bytes: int = 0) -> Memory:
        """Memory that must be free for a transformer with this number of bytes in bfloat16."""
        gpu, ram = int(self.gpu_share * transformer_bytes), int(self.ram_share * transformer_bytes)
        if self.storage == "gguf":
            gpu, ram = gguf_bytes, gguf_bytes
        on_cpu = self.devices == ("cpu",)
        return Memory(gpu_bytes=0 if on_cpu else gpu + WORK_BYTES, ram_bytes=ram + (WORK_BYTES if on_cpu else 0))


PLANS = {
    plan.name: plan
    for plan in (
        Plan(
            name="bf16",
            text="the whole transformer in bfloat16 on the GPU",
            devices=("cuda", "mps"),
            gpu_share=1.05,
            ram_share=0.25,
        ),
        Plan(
            name="bf16-offload",
            text="bfloat16, each part on the GPU only while it works",
            devices=("cuda",),
            offload="model",
            gpu_share=1.0,
            ram_share=1.05,
        ),
        Plan(
            name="fp8",
            text="stored in 8-bit floats on the GPU, computed in bfloat16",
            devices=("cuda",),
            storage="fp8",
            gpu_share=0.55,
            ram_share=1.05,
        ),
        Plan(
            name="gguf",
            text="the GGUF file beside the weights, on the GPU",
            devices=("cuda", "mps"),
            storage="gguf",
            gpu_share=0.0,
            ram_share=0.0,
            packages=("gguf",),
        ),
        Plan(
            name="nf4",
            text="in 4 bits (NF4) on the GPU, computed in bfloat16",
            devices=("cuda",),
            storage="nf4",
            gpu_share=0.30,
            ram_share=0.45,
            packages=("bitsandbytes",),
        ),
        Plan(
            name="group-offload",
            text="bfloat16 in main memory, a few layers at a time on the GPU",
            devices=("cuda",),
            offload="group",
            gpu_share=0.08,
            ram_share=1.05,
        ),
        Plan(
            name="sequential-offload",
            text="bfloat16 in main memory, one layer at a time on the GPU; the slowest",
            devices=("cuda",),
            offload="sequential",
            gpu_share=0.02,
            ram_share=1.05,
        ),
        Plan(
            name="cpu",
            text="bfloat16 on the processor; hours a picture",
            devices=("cpu",),
            gpu_share=0.0,
            ram_share=1.05,
        ),
        Plan(
            name="cpu-fp8",
            text="stored in 8-bit floats, on the processor; hours a picture",
            devices=("cpu",),
            storage="fp8",
            gpu_share=0.0,
            ram_share=0.80,
        ),
    )
}
"""Best first: on one device, each needs less memory, or less of the GPU's, than the one before."""


def in_words(transformer_bytes: int) -> str:
    """What a quick fill needs: whole, and in 4 bits."""
    whole, small = (PLANS[name].needs(transformer_bytes) for name in ("bf16", "nf4"))
    return (
        f"a GPU with {file_size(whole.gpu_bytes)} of memory, or {file_size(small.gpu_bytes)} in 4 bits; without one it "
        "takes hours a picture"
    )


def candidates(
    device_kind: str,
    memory: Memory,
    transformer_bytes: int,
    gguf_bytes: int = 0,
    installed: frozenset[str] | None = None,
) -> tuple[Plan, ...]:
    """The plans that fit into free memory, best first; the first one is used, the others if memory runs out.

    Args:
        device_kind: "cuda", "mps" or "cpu".
        transformer_bytes: the transformer's in bfloat16.
        gguf_bytes: of the GGUF file; 0: there is none.
        installed: names of optional packages that can be imported; None: looked up.
    """
    return tuple(
        plan
        for plan in PLANS.values()
        if _applies(plan, device_kind, gguf_bytes, installed)
        and _fits(plan.needs(transformer_bytes, gguf_bytes), memory, device_kind)
    )


def choose(
    name: str | None,
    device_kind: str,
    memory: Memory,
    transformer_bytes: int,
    gguf_bytes: int = 0,
    installed: frozenset[str] | None = None,
) -> tuple[Plan, ...]:
    """Like `candidates`; a plan that was named comes first even if it may not fit, followed only by smaller ones.

    Raises:
        ValueError: no plan fits, or the named one is unknown or cannot run on this device.
    """
    fitting = candidates(device_kind, memory, transformer_bytes, gguf_bytes, installed)
    if name is None:
        if not fitting:
            raise ValueError(_too_large(device_kind, memory, transformer_bytes, gguf_bytes, installed))
        return fitting
    if name not in PLANS:
        raise ValueError(f"unknown plan {name!r}; choose from {', '.join(PLANS)}")
    asked = PLANS[name]
    if not _applies(asked, device_kind, gguf_bytes, installed):
        raise ValueError(f"the plan {name} cannot run here: {_why_not(asked, device_kind, installed)}")
    order = list(PLANS)
    return (asked, *(plan for plan in fitting if order.index(plan.name) > order.index(name)))


def _why_not(plan: Plan, device_kind: str, installed: frozenset[str] | None) -> str:
    """What a plan needs that is missing here."""
    if device_kind not in plan.devices:
        return f"it needs {' or '.join(plan.devices)}, and the device is {device_kind}"
    missing = [package for package in plan.packages if not _has(package, installed)]
    return f"pip install {' '.join(missing)}" if missing else "it needs a .gguf file beside the weights"


def _applies(plan: Plan, device_kind: str, gguf_bytes: int, installed: frozenset[str] | None) -> bool:
    has_file = plan.storage != "gguf" or gguf_bytes > 0
    return device_kind in plan.devices and has_file and all(_has(package, installed) for package in plan.packages)


def _has(package: str, installed: frozenset[str] | None) -> bool:
    return package in installed if installed is not None else find_spec(package) is not None


def _fits(needs: Memory, memory: Memory, device_kind: str) -> bool:
    if device_kind == "mps":  # one memory for both
        return max(needs.gpu_bytes, needs.ram_bytes) <= memory.ram_bytes
    return needs.gpu_bytes <= memory.gpu_bytes and needs.ram_bytes <= memory.ram_bytes


def _too_large(
    device_kind: str, memory: Memory, transformer_bytes: int, gguf_bytes: int, installed: frozenset[str] | None
) -> str:
    possible = [plan for plan in PLANS.values() if _applies(plan, device_kind, gguf_bytes, installed)]
    smallest = min(
        (plan.needs(transformer_bytes, gguf_bytes) for plan in possible),
        key=lambda needs: max(needs.gpu_bytes - memory.gpu_bytes, needs.ram_bytes - memory.ram_bytes),
    )
    needed = [f"{smallest.ram_bytes / 1e9:.0f} GB of main memory ({memory.ram_bytes / 1e9:.0f} GB are free)"]
    if device_kind != "cpu":
        needed.insert(0, f"{smallest.gpu_bytes / 1e9:.0f} GB on the GPU ({memory.gpu_bytes / 1e9:.0f} GB are free)")
    return f"FLUX.1 Fill [dev] does not fit: it takes at least {' and '.join(needed)}"
