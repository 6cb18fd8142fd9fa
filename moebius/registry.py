"""Which models exist, what they cost, whether they can run here, and the one that `auto` takes.

Answering is cheap: neither torch nor diffusers nor a model is imported before `ModelCard.load`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import environment
from moebius.devices import Memory
from moebius.inpainters.flux import hosted_access
from moebius.units import file_size
from moebius.weights import WeightsError, catalog, hub, locate

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.progress import Progress

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Where a model's weights are and how it runs; None means: decide from what is there."""

    weights: Path | None = None
    """A folder, see `moebius.weights.locate.locate`."""
    variant: str | None = None
    """A name in `catalog.VARIANTS`; None: what the folder holds, else `places2`."""
    device: str | None = None
    dtype: str | None = None
    plan: str | None = None
    """A name in `moebius.inpainters.flux.memory_plans.PLANS`; only FLUX has plans."""
    allow_download: bool = False
    """Nothing is downloaded without it."""


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a model can run here, and the sentence that a person needs if not."""

    can_run: bool
    reason: str
    weights: str
    """Where its weights are, or where they come from."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    name: str
    title: str
    parameters: int
    """As published; 0: nothing learned, or not told by the makers."""
    download_bytes: int
    license: str
    notice: str = ""
    """What must stand where the model is chosen."""
    source: str
    packages: tuple[str, ...]
    """What must be importable."""
    network: str | None = None
    """A name in `catalog.DENOISERS`: it has variants, and `hub.fetch` gets its weights."""
    seeded: bool = True
    """Whether a seed changes its fills."""
    automatic: bool = False
    """Whether `auto` may take it. The teachers are only taken by name."""
    availability: Callable[[LoadOptions], Availability]
    load: Callable[[LoadOptions, Progress], Inpainter]
    needs: Callable[[LoadOptions, Memory], Memory] | None = None
    """Memory that should be free to load and run it, where so much there is in all; None: it holds nothing."""
    folder: Callable[[LoadOptions], Path | None] = lambda options: None
    """The folder that was asked for; None: the Hugging Face cache."""


def card(name: str) -> ModelCard:
    """The card of a model. Raises ValueError, listing the choices, for a name that is none."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join((AUTO, *MODELS))}")
    return MODELS[name]


def resolve(name: str, options: LoadOptions) -> tuple[ModelCard, str]:
    """The card of `name` and a sentence on why; `auto` is the best that can run here without a download.

    Raises:
        ValueError: unknown name, or packages are missing. With `auto`, weights that were asked for
            (options.weights, MOEBIUS_WEIGHTS) but cannot be used are an error too, not a reason to take another model.
    """
    if name != AUTO:
        named = card(name)
        if lacking := _lacking(name):
            raise ValueError(f"{named.title} cannot run here: {lacking}")
        return named, f"{named.title} was asked for."
    reasons = []
    for candidate in MODELS.values():  # best first
        if not candidate.automatic:
            continue
        state = candidate.availability(options)
        if state.can_run:
            reasons.append(f"{candidate.title} is the best that can run here.")
            return candidate, " ".join(reasons)
        if candidate.folder(options):
            raise WeightsError(state.reason)
        reasons.append(f"{candidate.title} cannot run here: {state.reason}.")
    raise ValueError(" ".join(reasons))


def fetch(name: str, options: LoadOptions, progress: Progress) -> str:
    """Download a model's weights; where they are now. Raises WeightsError; ValueError for a model without any."""
    named = card(name)
    if name in catalog.NETWORKS:
        return hub.fetch(options.variant if named.network else None, progress, network=name).where
    raise ValueError(f"{named.title} has no weights to download")


# ---- moebius, pixelhacker ----


def _denoiser_folder(network: str, options: LoadOptions) -> Path | None:
    return locate.chosen_folder(options.weights, network)


def _denoiser_availability(network: str, options: LoadOptions) -> Availability:
    if lacking := _lacking(network):
        return Availability(can_run=False, reason=lacking, weights="")
    variant, published = options.variant or catalog.DEFAULT_VARIANT, catalog.DENOISERS[network]
    try:
        files = locate.locate(options.variant, options.weights, network=network)
    except WeightsError as error:
        if folder := _denoiser_folder(network, options):
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


def _load_denoiser(network: str, options: LoadOptions, progress: Progress) -> Inpainter:
    try:
        files = locate.locate(options.variant, options.weights, network=network)
    except WeightsError:
        if not options.allow_download or _denoiser_folder(network, options):
            raise
        files = hub.fetch(options.variant, progress, network=network)
    progress(0.0, "Loading the model")
    from moebius.inpainters.diffusion import DenoiserInpainter

    model = DenoiserInpainter.from_files(files, options.device, options.dtype, progress)
    if network == "pixelhacker" and (kernel := environment.GLA_KERNEL.read()):
        model.pipeline.unet.set_attention_kernel(kernel)
    if network == "moebius" and (form := environment.FORM.read()):
        from moebius.models.fused.modes import as_form

        if "compiled" in form:
            progress(0.0, "The first step will compile the network, which takes minutes")
        model.pipeline.unet = as_form(model.pipeline.unet, form, release=True)
    return model


def _denoiser_needs(network: str, options: LoadOptions, total: Memory) -> Memory:
    """Weights, autoencoder included, and about a gigabyte and a half to work in."""
    width = 4 if options.dtype in (None, "float32") else 2
    needed = width * (MODELS[network].parameters + 84_000_000) + 1_500_000_000
    on_gpu = total.gpu_bytes > 0 and options.device != "cpu"
    return Memory(gpu_bytes=needed if on_gpu else 0, ram_bytes=needed)


# ---- moebius-mini ----


def _mini_folder(options: LoadOptions) -> Path | None:
    return options.weights or locate.mini_folder()


def _mini_availability(options: LoadOptions) -> Availability:
    if lacking := _lacking("moebius-mini"):
        return Availability(can_run=False, reason=lacking, weights="")
    folder = _mini_folder(options)
    try:
        files = locate.locate(None, folder or catalog.MINI_FOLDER)
    except WeightsError as error:
        return Availability(can_run=False, reason=str(error), weights=str(folder or ""))
    return Availability(can_run=True, reason="its weights are here", weights=files.where)


def _load_mini(options: LoadOptions, progress: Progress) -> Inpainter:
    files = locate.locate(None, _mini_folder(options) or catalog.MINI_FOLDER)
    progress(0.0, "Loading the model")
    from moebius.inpainters.diffusion import DenoiserInpainter

    return DenoiserInpainter.from_files(files, options.device, options.dtype, progress, name="moebius-mini")


def _mini_needs(options: LoadOptions, total: Memory) -> Memory:
    """Its weights are small beside the gigabyte and a half to work in."""
    on_gpu = total.gpu_bytes > 0 and options.device != "cpu"
    return Memory(gpu_bytes=1_500_000_000 if on_gpu else 0, ram_bytes=1_500_000_000)


def _mini_cards() -> tuple[ModelCard, ...]:
    """Its card, if somebody trained one: there is nothing to download, and what cannot be had is not offered."""
    if locate.mini_folder() is None:
        return ()
    return (
        ModelCard(
            name="moebius-mini",
            title="Moebius mini, a small stand-in",
            parameters=0,
            download_bytes=0,
            license="whoever trained it decides; see README.md beside its weights",
            notice="A small stand-in, trained on few photos. To get the published Moebius, which fills better: the "
            "page's button, or `python -m moebius download`.",
            source="trained by benchmarks/mini.md's recipe",
            packages=("torch", "diffusers", "safetensors"),
            automatic=True,
            availability=_mini_availability,
            load=_load_mini,
            needs=_mini_needs,
            folder=_mini_folder,
        ),
    )


# ---- flux-fill ----


def _flux_folder(options: LoadOptions) -> Path | None:
    return locate.chosen_folder(options.weights, "flux-fill")


def _flux_availability(options: LoadOptions) -> Availability:
    if lacking := _lacking("flux-fill"):
        return Availability(can_run=False, reason=lacking, weights="")
    try:
        files = locate.locate(weights=options.weights, network="flux-fill")
    except WeightsError as error:
        return Availability(can_run=False, reason=str(error), weights=f"{catalog.FLUX.repo} on huggingface.co")
    return Availability(can_run=True, reason="its weights are here", weights=files.where)


def _load_flux(options: LoadOptions, progress: Progress) -> Inpainter:
    from moebius import devices
    from moebius.inpainters.flux import memory_plans

    if options.plan is not None and options.plan not in memory_plans.PLANS:
        raise ValueError(f"unknown plan {options.plan!r}; choose from {', '.join(memory_plans.PLANS)}")
    try:
        files = locate.locate(weights=options.weights, network="flux-fill")
    except WeightsError:
        if not options.allow_download or _flux_folder(options):
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


def _flux_needs(options: LoadOptions, total: Memory) -> Memory:
    """Of the best plan that would fit with nothing else loaded."""
    from moebius import devices
    from moebius.inpainters.flux import memory_plans

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


# ---- flux-fill-pro ----


def _hosted_availability(options: LoadOptions) -> Availability:
    reason = hosted_access.why_off()
    return Availability(
        can_run=not reason, reason=reason or "it was turned on", weights="at the maker's, not given out"
    )


def _load_hosted(options: LoadOptions, progress: Progress) -> Inpainter:
    if reason := hosted_access.why_off():
        raise ValueError(f"{MODELS['flux-fill-pro'].title} is off: {reason}")
    from moebius.inpainters.flux.hosted import HostedFluxInpainter

    return HostedFluxInpainter(hosted_access.key(), hosted_access.address())


# ---- classical ----


def _classical_availability(options: LoadOptions) -> Availability:
    lacking = _lacking("classical")
    return Availability(can_run=not lacking, reason=lacking or "it needs no weights", weights="none needed")


def _load_classical(options: LoadOptions, progress: Progress) -> Inpainter:
    from moebius.inpainters.classical import ClassicalInpainter

    return ClassicalInpainter()


def _lacking(name: str) -> str:
    missing = [package for package in MODELS[name].packages if find_spec(package) is None]
    return f"not installed: {', '.join(missing)} (pip install -r requirements.txt)" if missing else ""


def _denoiser_card(network: str, **fields) -> ModelCard:
    return ModelCard(
        name=network,
        title=catalog.DENOISERS[network].title,
        download_bytes=catalog.download_bytes(network),
        packages=("torch", "diffusers", "safetensors"),
        network=network,
        availability=functools.partial(_denoiser_availability, network),
        load=functools.partial(_load_denoiser, network),
        needs=functools.partial(_denoiser_needs, network),
        folder=functools.partial(_denoiser_folder, network),
        **fields,
    )


MODELS = {
    model.name: model
    for model in (
        _denoiser_card(
            "moebius",
            parameters=226_041_531,
            license="Apache-2.0; its autoencoder, PixelHacker's, MIT",
            source="https://huggingface.co/hustvl/Moebius (arXiv:2606.19195)",
            automatic=True,
        ),
        *_mini_cards(),
        _denoiser_card(
            "pixelhacker",
            parameters=862_251_708,
            license="MIT",
            source="https://huggingface.co/hustvl/PixelHacker (arXiv:2504.20438)",
        ),
        ModelCard(
            name="flux-fill",
            title="FLUX.1 Fill [dev]",
            parameters=11_902_391_360,
            download_bytes=catalog.FLUX.download_bytes,
            license="FLUX.1 [dev] Non-Commercial License",
            notice="Non-commercial use only; its pictures may not be used to train a model that competes with it; "
            f"its pictures are AI-generated and must be called so. Licence: {catalog.FLUX.license_page}",
            source=f"{catalog.FLUX.license_page} (gated: accept the licence there)",
            packages=("torch", "diffusers", "transformers", "accelerate"),
            availability=_flux_availability,
            load=_load_flux,
            needs=_flux_needs,
            folder=_flux_folder,
        ),
        ModelCard(
            name="flux-fill-pro",
            title="FLUX.1 Fill [pro] (hosted)",
            parameters=0,
            download_bytes=0,
            license="terms of service of Black Forest Labs; each picture costs credits",
            notice="This is [pro], not [dev]. Your picture leaves this computer: it is sent to Black Forest Labs. "
            "Its pictures are AI-generated.",
            source="https://docs.bfl.ai",
            packages=(),
            availability=_hosted_availability,
            load=_load_hosted,
        ),
        ModelCard(
            name="classical",
            title="The classical filler",
            parameters=0,
            download_bytes=0,
            license="MIT (PyPatchMatch)",
            source="https://github.com/mauwii/PyPatchMatch (Barnes et al. 2009)",
            packages=("patchmatch",),
            seeded=False,
            automatic=True,
            availability=_classical_availability,
            load=_load_classical,
        ),
    )
}
"""Every model. Among those that are `automatic`, best first: `auto` takes the first that can run."""
