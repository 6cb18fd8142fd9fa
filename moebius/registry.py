"""Which models exist, what they cost, whether they can run here, and the one that `auto` takes.

Answering is cheap: neither torch nor diffusers nor a model is imported before `ModelCard.load`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import hub, weight_files

if TYPE_CHECKING:
    from moebius.inpainter import Inpainter, Progress

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Where a model's weights are and how it runs; None means: decide from what is there."""

    weights: Path | None = None
    """A folder, see `moebius.weight_files.locate`."""
    variant: str | None = None
    """A name in `weight_files.VARIANTS`; None: what the folder holds, else `places2`."""
    device: str | None = None
    dtype: str | None = None
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
    """As published; 0: nothing learned, no weights, no seed."""
    download_bytes: int
    license: str
    source: str
    packages: tuple[str, ...]
    """What must be importable."""
    availability: Callable[[LoadOptions], Availability]
    load: Callable[[LoadOptions, Progress], Inpainter]


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
        state = candidate.availability(options)
        if state.can_run:
            reasons.append(f"{candidate.title} is the best that can run here.")
            return candidate, " ".join(reasons)
        if candidate.parameters and weight_files.chosen_folder(options.weights):
            raise weight_files.WeightsError(state.reason)
        reasons.append(f"{candidate.title} cannot run here: {state.reason}.")
    raise ValueError(" ".join(reasons))


# ---- moebius ----


def _moebius_availability(options: LoadOptions) -> Availability:
    if lacking := _lacking("moebius"):
        return Availability(can_run=False, reason=lacking, weights="")
    variant = options.variant or weight_files.DEFAULT_VARIANT
    try:
        files = weight_files.locate(options.variant, options.weights)
    except weight_files.WeightsError as error:
        size = f"about {MODELS['moebius'].download_bytes // 10**6} MB"
        if weight_files.chosen_folder(options.weights):
            return Availability(can_run=False, reason=str(error), weights=str(options.weights or "MOEBIUS_WEIGHTS"))
        return Availability(
            can_run=False,
            reason="its weights are not on this computer; "
            f"`python -m moebius download {variant}` fetches them ({size})",
            weights=f"{weight_files.STUDENT_REPO} and {weight_files.AUTOENCODER_REPO} on huggingface.co",
        )
    return Availability(can_run=True, reason="its weights are here", weights=files.where)


def _load_moebius(options: LoadOptions, progress: Progress) -> Inpainter:
    try:
        files = weight_files.locate(options.variant, options.weights)
    except weight_files.WeightsError:
        if not options.allow_download or weight_files.chosen_folder(options.weights):
            raise
        files = hub.fetch(options.variant, progress)
    progress(0.0, "Loading the model")
    from moebius.inpainters.student import StudentInpainter

    return StudentInpainter.from_files(files, device=options.device, dtype=options.dtype)


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


MODELS = {
    model.name: model
    for model in (
        ModelCard(
            name="moebius",
            title="Moebius",
            parameters=226_041_531,
            download_bytes=weight_files.download_bytes(),
            license="Apache-2.0; its autoencoder, PixelHacker's, MIT",
            source="https://huggingface.co/hustvl/Moebius (arXiv:2606.19195)",
            packages=("torch", "diffusers", "safetensors"),
            availability=_moebius_availability,
            load=_load_moebius,
        ),
        ModelCard(
            name="classical",
            title="The classical filler",
            parameters=0,
            download_bytes=0,
            license="Apache-2.0 (OpenCV)",
            source="OpenCV, cv2.inpaint (Telea 2004)",
            packages=("cv2",),
            availability=_classical_availability,
            load=_load_classical,
        ),
    )
}
"""Every model, best first: `auto` takes the first that can run."""
