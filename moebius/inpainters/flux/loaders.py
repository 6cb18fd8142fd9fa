"""How FLUX.1 Fill is found and built: [dev] on this computer, [pro] at its maker's. torch is imported only to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moebius import devices, environment
from moebius.devices import Memory
from moebius.inpainters.flux import memory_plans
from moebius.inpainters.loaders import Availability, LoadOptions
from moebius.weights import WeightsError, catalog, hub, locate

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.progress import Progress

# ---- [dev] ----


def folder(options: LoadOptions) -> Path | None:
    return locate.chosen_folder(options.weights, catalog.FLUX.name)


def availability(options: LoadOptions) -> Availability:
    try:
        files = locate.locate(weights=options.weights, network="flux-fill")
    except WeightsError as error:
        return Availability(can_run=False, reason=str(error), weights=f"{catalog.FLUX.repo} on huggingface.co")
    return Availability(can_run=True, reason="its weights are here", weights=files.where)


def fetch(options: LoadOptions, progress: Progress) -> str:
    return hub.fetch(progress=progress, network="flux-fill").where


def load(options: LoadOptions, progress: Progress) -> Inpainter:
    """By the best memory plan that fits, or the one in `options`.

    Raises:
        ValueError: unknown plan, or one that cannot run here.
        WeightsError: no weights, or damaged ones.
    """
    if options.plan is not None and options.plan not in memory_plans.PLANS:
        raise ValueError(f"unknown plan {options.plan!r}; choose from {', '.join(memory_plans.PLANS)}")
    try:
        files = locate.locate(weights=options.weights, network="flux-fill")
    except WeightsError:
        if not options.allow_download or folder(options):
            raise
        files = hub.fetch(progress=progress, network="flux-fill")
    device = options.device or devices.best_device()
    devices.check_device(device)
    plans = memory_plans.choose(
        options.plan,
        device.split(":")[0],
        devices.free_memory(device),
        files.bytes_of("transformer"),
        files.gguf.stat().st_size if files.gguf else 0,
    )
    from moebius.inpainters.flux.flux_fill import FluxFillInpainter

    dtype = devices.named_dtype(options.dtype, "bfloat16")
    return FluxFillInpainter.from_files(files, plans, device, dtype, progress)


def needs(options: LoadOptions, total: Memory) -> Memory:
    """Of the best plan that would fit with nothing else loaded."""
    try:
        files = locate.locate(weights=options.weights, network="flux-fill")
    except WeightsError:  # still to be downloaded
        transformer_bytes, gguf_bytes = catalog.FLUX_TRANSFORMER_BYTES, 0
    else:
        transformer_bytes = files.bytes_of("transformer")
        gguf_bytes = files.gguf.stat().st_size if files.gguf else 0
    kind = (options.device or devices.best_device()).split(":")[0]
    plans = memory_plans.candidates(kind, total, transformer_bytes, gguf_bytes)
    if options.plan in memory_plans.PLANS:
        plans = (memory_plans.PLANS[options.plan],)
    return plans[0].needs(transformer_bytes, gguf_bytes) if plans else Memory(gpu_bytes=0, ram_bytes=0)


# ---- [pro] ----


def why_off() -> str:
    """What is missing before pictures may be sent; empty: it is on.

    Raises:
        VariableError: MOEBIUS_HOSTED is neither 1 nor 0.
    """
    switch, key = environment.HOSTED, environment.BFL_KEY
    if not switch.read():
        return f"it sends pictures to Black Forest Labs and is off; to turn it on set {switch}=1 and {key} to your key"
    return "" if key.read() else f"{key} is not set; make a key at https://dashboard.bfl.ai"


def hosted_availability(options: LoadOptions) -> Availability:
    reason = why_off()
    return Availability(can_run=not reason, reason=reason or "it was turned on", weights="not published")


def load_hosted(options: LoadOptions, progress: Progress) -> Inpainter:
    """Raises ValueError where it is not turned on."""
    if reason := why_off():
        raise ValueError(f"FLUX.1 Fill [pro] (hosted) is off: {reason}")
    from moebius.inpainters.flux.hosted import HostedFluxInpainter

    return HostedFluxInpainter(environment.BFL_KEY.read(), environment.BFL_ADDRESS.read().rstrip("/"))
