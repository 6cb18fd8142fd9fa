"""The models: a card for each, with facts and the functions that find and load it; and the choice for `auto`.

This is cheap: neither torch nor diffusers is imported before `ModelCard.load`. No code outside this file depends on a
model's name: whatever is special about a model is a field of its card.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moebius.config import (
    FLUX_FILL_DEFAULTS,
    FLUX_FILL_PRO_DEFAULTS,
    PIXELHACKER_DEFAULTS,
    STUDENT_DEFAULTS,
    ModelDefaults,
)
from moebius.devices import Memory
from moebius.inpainters import loaders
from moebius.inpainters.flux import loaders as flux
from moebius.inpainters.flux import memory_plans
from moebius.inpainters.loaders import Availability, LoadOptions
from moebius.weights import WeightsError, catalog

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.progress import Progress

AUTO = "auto"
DIFFUSION_PACKAGES = ("torch", "diffusers", "safetensors")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What there is to know about a model before it is loaded."""

    name: str
    title: str
    parameters: int = 0
    """As published; 0: it has none, or its makers do not say."""
    download_bytes: int = 0
    license: str
    notice: str = ""
    """Shown wherever the model can be chosen."""
    mode: str = ""
    """What choosing it by name means, where that is a way of working; its results then say how they were made."""
    source: str
    packages: tuple[str, ...] = ()
    """Packages that must be installed."""
    network: str | None = None
    """A name in `catalog.DENOISERS`: its weights have variants."""
    learned: bool = True
    """Whether a trained network makes its fills. If so, results can be marked as edited by a model, and recipe, steps
    and number type apply."""
    seeded: bool = True
    """Whether a seed changes its fills."""
    defaults: ModelDefaults | None = None
    """Its authors' steps and guidance; None: it has neither. Its `Inpainter.defaults` is the same."""
    reads_prompt: bool = False
    hardware: str = ""
    """What it needs beside its weights, where a usual computer does not have that; as it follows "needs"."""
    has_plans: bool = False
    """Whether there are several ways to hold it in memory, `LoadOptions.plan`."""
    hosted: bool = False
    """Whether pictures are sent to its maker."""
    license_page: str = ""
    """Where its licence must be accepted before the download; empty: nowhere."""
    fills_may_train: bool = True
    """Whether its licence allows training a model on its fills."""
    automatic: bool = False
    """Whether `auto` may choose it. The teachers must be named."""
    compared: bool = False
    """Whether it is in a comparison that names no models."""
    comparison_order: int
    """Its place in a comparison, lowest first: fast models first, so that the first result comes soon."""
    reference: bool = False
    """Whether other models' times are given as multiples of its time; True for one model."""
    find_weights: Callable[[LoadOptions], Availability]
    """Whether it can run here, given that its packages are installed."""
    load: Callable[[LoadOptions, Progress], Inpainter]
    needs: Callable[[LoadOptions, Memory], Memory] | None = None
    """Memory that it needs, given the machine's total memory; None: it holds no memory."""
    folder: Callable[[LoadOptions], Path | None] = lambda options: None
    """The weights folder that the options or a variable name; None: the Hugging Face cache."""
    fetch: Callable[[LoadOptions, Progress], str] | None = None
    """Downloads its weights and returns where they are; None: there are none to download."""

    def availability(self, options: LoadOptions) -> Availability:
        """Whether it can run here, and why not."""
        if reason := loaders.missing(self.packages):
            return Availability(can_run=False, reason=reason, weights="")
        return self.find_weights(options)


def card(name: str) -> ModelCard:
    """The card of a model. Raises ValueError, listing the choices, for a name that is none."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose from {AUTO}, {known()}")
    return MODELS[name]


def known() -> str:
    """The names of all models, for messages."""
    return ", ".join(MODELS)


def reference() -> ModelCard:
    """The card of the model that others are compared with."""
    return _REFERENCE


def offer(names: Collection[str]) -> None:
    """Offer only these models from now on. Raises ValueError for an unknown name."""
    kept = {card(name).name for name in names}
    for name in set(MODELS) - kept:
        del MODELS[name]


def compared() -> list[str]:
    """Names of the models in a comparison that names none: all that keep the picture on this computer."""
    return [one.name for one in MODELS.values() if one.compared]


def resolve(name: str, options: LoadOptions) -> tuple[ModelCard, str]:
    """The card of `name`, and a sentence with the reason; `auto`: the best that can run here without a download.

    Raises:
        ValueError: unknown name, or packages are missing. With `auto`, a weights folder that was named
            (options.weights, MOEBIUS_WEIGHTS) but cannot be used is an error, too: no other model replaces it.
    """
    if name != AUTO:
        named = card(name)
        if reason := loaders.missing(named.packages):
            raise ValueError(f"{named.title} cannot run here: {reason}")
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
    raise ValueError(" ".join(reasons) or f"no model of those offered here is taken by itself; choose from {known()}")


def fetch(name: str, options: LoadOptions, progress: Progress) -> str:
    """Download a model's weights and return their place. Raises WeightsError; ValueError for a model without
    weights."""
    named = card(name)
    if named.fetch is None:
        raise ValueError(f"{named.title} has no weights to download")
    return named.fetch(options, progress)


def _denoiser_card(network: str, parameters: int, **fields: Any) -> ModelCard:
    return ModelCard(
        name=network,
        title=catalog.DENOISERS[network].title,
        parameters=parameters,
        download_bytes=catalog.download_bytes(network),
        packages=DIFFUSION_PACKAGES,
        network=network,
        compared=True,
        find_weights=partial(loaders.denoiser_availability, network),
        needs=partial(loaders.denoiser_needs, parameters),
        folder=partial(loaders.denoiser_folder, network),
        fetch=partial(loaders.fetch_denoiser, network),
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
            defaults=STUDENT_DEFAULTS,
            automatic=True,
            reference=True,
            comparison_order=10,
            load=loaders.load_student,
        ),
        _denoiser_card(
            "pixelhacker",
            parameters=862_251_708,
            license="MIT",
            source="https://huggingface.co/hustvl/PixelHacker (arXiv:2504.20438)",
            defaults=PIXELHACKER_DEFAULTS,
            comparison_order=20,
            load=loaders.load_pixelhacker,
        ),
        ModelCard(
            name="flux-fill",
            title="FLUX.1 Fill [dev]",
            parameters=11_902_391_360,
            download_bytes=catalog.FLUX.download_bytes,
            license="FLUX.1 [dev] Non-Commercial License",
            notice="Non-commercial use only; its pictures may not be used to train a model that competes with it; "
            f"its pictures are AI-generated and must be labelled as such. Licence: {catalog.FLUX.license_page}",
            source=f"{catalog.FLUX.license_page} (gated: accept the licence there)",
            packages=("torch", "diffusers", "transformers", "accelerate", "sentencepiece"),
            defaults=FLUX_FILL_DEFAULTS,
            reads_prompt=True,
            hardware=memory_plans.in_words(catalog.FLUX_TRANSFORMER_BYTES),
            has_plans=True,
            license_page=catalog.FLUX.license_page,
            fills_may_train=False,
            compared=True,
            comparison_order=40,
            find_weights=flux.availability,
            load=flux.load,
            needs=flux.needs,
            folder=flux.folder,
            fetch=flux.fetch,
        ),
        ModelCard(
            name="flux-fill-pro",
            title="FLUX.1 Fill [pro] (hosted)",
            license="terms of service of Black Forest Labs; each picture costs credits",
            notice="This is [pro], not [dev]. Your picture leaves this computer: it is sent to Black Forest Labs. "
            "Its pictures are AI-generated.",
            source="https://docs.bfl.ai",
            defaults=FLUX_FILL_PRO_DEFAULTS,
            reads_prompt=True,
            hosted=True,
            fills_may_train=False,
            comparison_order=30,
            find_weights=flux.hosted_availability,
            load=flux.load_hosted,
        ),
        ModelCard(
            name="classical",
            title="PatchMatch",
            mode="Own pixels only",
            license="Apache-2.0",
            source="moebius/patchmatch (Wexler et al. 2007, Barnes et al. 2009)",
            packages=("numba",),
            learned=False,
            seeded=False,
            automatic=True,
            compared=True,
            comparison_order=0,
            find_weights=loaders.classical_availability,
            load=loaders.load_classical,
        ),
    )
}
"""Every model, best first: `auto` takes the first `automatic` one that can run."""
_REFERENCE = next(card for card in MODELS.values() if card.reference)
