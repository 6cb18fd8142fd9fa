"""Functions that find and load student, PixelHacker and the classical filler. torch is imported only to load one.

`moebius.inpainters.flux.loaders` has those of FLUX. `moebius.registry` puts these functions on the models' cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import environment
from moebius.devices import Memory
from moebius.units import file_size
from moebius.weights import WeightsError, catalog, hub, locate

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.inpainters.diffusion import DenoiserInpainter
    from moebius.progress import Progress

AUTOENCODER_PARAMETERS = 84_000_000
WORK_BYTES = 1_500_000_000
"""About how much memory a fill at 512 needs besides the weights."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Where a model's weights are and how it runs; None: chosen from what is available."""

    weights: Path | None = None
    """A folder, see `moebius.weights.locate.locate`."""
    variant: str | None = None
    """A name in `catalog.VARIANTS`; None: the variant in the folder, else `places2`."""
    device: str | None = None
    dtype: str | None = None
    plan: str | None = None
    """A name in `moebius.inpainters.flux.memory_plans.PLANS`; only FLUX has plans."""
    allow_download: bool = False
    """False: nothing is downloaded."""


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a model can run here, and the reason."""

    can_run: bool
    reason: str
    weights: str
    """The place of its weights, or their source."""


def missing(packages: tuple[str, ...]) -> str:
    """A sentence on which of these packages are not installed; empty: all are."""
    absent = [package for package in packages if find_spec(package) is None]
    return f"not installed: {', '.join(absent)} (pip install {' '.join(absent)})" if absent else ""


# ---- student, PixelHacker ----


def denoiser_folder(network: str, options: LoadOptions) -> Path | None:
    return locate.chosen_folder(options.weights, network)


def denoiser_availability(network: str, options: LoadOptions) -> Availability:
    """Whether the weights of a network are here, and where."""
    variant, published = options.variant or catalog.DEFAULT_VARIANT, catalog.DENOISERS[network]
    try:
        files = locate.locate(options.variant, options.weights, network=network)
    except WeightsError as error:
        if folder := denoiser_folder(network, options):
            return Availability(can_run=False, reason=str(error), weights=str(options.weights or folder))
        repositories = dict.fromkeys((published.repo, catalog.AUTOENCODER_REPO))
        return Availability(
            can_run=False,
            reason="its weights are not on this computer; "
            f"`{catalog.download_command(network, variant)}` fetches them "
            f"(about {file_size(catalog.download_bytes(network))})",
            weights=f"{' and '.join(repositories)} on huggingface.co",
        )
    return Availability(can_run=True, reason="its weights are here", weights=files.where)


def fetch_denoiser(network: str, options: LoadOptions, progress: Progress) -> str:
    """Download the weights of a network; returns where they are."""
    return hub.fetch(options.variant, progress, network=network).where


def load_denoiser(network: str, options: LoadOptions, progress: Progress) -> DenoiserInpainter:
    """Load a network with its autoencoder. Raises WeightsError where the weights are missing or damaged."""
    try:
        files = locate.locate(options.variant, options.weights, network=network)
    except WeightsError:
        if not options.allow_download or denoiser_folder(network, options):
            raise
        files = hub.fetch(options.variant, progress, network=network)
    progress(0.0, "Loading the model")
    from moebius.inpainters.diffusion import DenoiserInpainter

    return DenoiserInpainter.from_files(files, options.device, options.dtype, progress)


def load_student(options: LoadOptions, progress: Progress) -> Inpainter:
    """In the mode that MOEBIUS_MODE names, if any."""
    model = load_denoiser("moebius", options, progress)
    if mode := environment.MODE.read():
        from moebius.models.fused.modes import in_mode

        if "compiled" in mode:
            progress(0.0, "The first step will compile the network, which takes minutes")
        model.pipeline.unet = in_mode(model.pipeline.unet, mode, release=True)
    return model


def load_pixelhacker(options: LoadOptions, progress: Progress) -> Inpainter:
    """With the attention kernel that MOEBIUS_GLA_KERNEL names, if any."""
    model = load_denoiser("pixelhacker", options, progress)
    if kernel := environment.GLA_KERNEL.read():
        model.pipeline.unet.set_attention_kernel(kernel)
    return model


def denoiser_needs(parameters: int, options: LoadOptions, total: Memory) -> Memory:
    """Weights, the autoencoder's too, and some memory to work in."""
    width = 4 if options.dtype in (None, "float32") else 2
    needed = width * (parameters + AUTOENCODER_PARAMETERS) + WORK_BYTES
    on_gpu = total.gpu_bytes > 0 and options.device != "cpu"
    return Memory(gpu_bytes=needed if on_gpu else 0, ram_bytes=needed)


# ---- the classical filler ----


def classical_availability(options: LoadOptions) -> Availability:
    return Availability(can_run=True, reason="it needs no weights", weights="none needed")


def load_classical(options: LoadOptions, progress: Progress) -> Inpainter:
    from moebius.inpainters.classical import ClassicalInpainter

    return ClassicalInpainter()
