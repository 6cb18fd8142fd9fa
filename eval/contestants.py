"""The contestants of an evaluation: models of the registry, controls, or any `Inpainter`, each with its settings and
the identity of its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import moebius
from eval import store
from moebius import registry
from moebius.config import RECIPES, SamplingConfig
from moebius.files import sha256
from moebius.progress import no_progress
from moebius.weights import locate

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter

ROOT = Path(__file__).parents[1]
"""The checkout: the folder of `eval`."""
PACKAGE_ROOT = Path(moebius.__path__[0]).parent
"""The folder of `moebius`: the same one, or where it is installed."""
FILL_SOURCES = ("eval/data/*.py", "eval/controls.py", "eval/generate.py")
"""Sources that a fill depends on, beside those of `moebius`: when one changes, fills are made again."""
OTHER_ROOMS = ("ui", "commands", "batch", "training", "bench", "presentation")
"""Folders of `moebius` that no fill of an evaluation passes through; a change in any other makes new fills."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A model of the evaluation, with its settings."""

    name: str
    """In tables, folders and plots."""
    title: str
    config: SamplingConfig
    load: Callable[[], Inpainter]
    weights: dict
    """What identifies these weights: files and their SHA-256, or a commit."""
    parameters: int
    license: str
    source: str
    learned: bool

    def settings(self) -> dict:
        """The settings shown beside every figure: recipe, strength and steps of a learned model."""
        if not self.learned:
            return {"recipe": "none", "text": "no settings"}
        config = self.config
        parts = [f"recipe {config.recipe}", f"strength {config.effective_strength:g}"]
        if config.num_inference_steps is not None:
            parts.append(f"{config.num_inference_steps} steps")
        if config.guidance_scale is not None:
            parts.append(f"guidance {config.guidance_scale:g}")
        parts.append(config.scheduler)
        if not config.detail:
            parts.append("no detail")
        if not config.match_colours:
            parts.append("colours as they come")
        return {**dataclasses.asdict(config), "strength": config.effective_strength, "text": ", ".join(parts)}

    @property
    def returns_input(self) -> bool:
        """Whether it is a control made of the picture that it is given; of a pair that shows the object."""
        return self.name.startswith("truth")

    def sees_truth(self) -> bool:
        """Whether sampling starts from the unmasked picture, which makes the scores too good."""
        recipe = RECIPES[self.config.recipe]
        return self.learned and self.config.effective_strength < 1 and recipe.starts_from == "image"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How contestants are loaded and sampled."""

    config: SamplingConfig = SamplingConfig()
    overrides: dict[str, dict]
    """Per model: fields of `SamplingConfig`."""
    weights: dict[str, str]
    """Folder per model; the key "" is for all models without a folder of their own."""
    variant: str | None = None
    device: str | None = None
    dtype: str | None = None


def resolve(names: Iterable[str], options: Options) -> list[Contestant]:
    """The contestants by name.

    Raises:
        ValueError: unknown or repeated name, or a model that cannot run here, with the reason.
    """
    from eval.controls import CONTROLS

    names = list(names)
    if len(set(names)) != len(names):
        raise ValueError(f"a model is named twice: {', '.join(names)}")
    if unknown := {*options.overrides, *options.weights} - {*names, ""}:
        raise ValueError(f"settings for {', '.join(sorted(unknown))}, which is not among --models")
    found = []
    for name in names:
        if name in CONTROLS:
            found.append(_control(name, *CONTROLS[name]))
        elif name in registry.MODELS:
            found.append(_registered(name, options))
        else:
            known = ", ".join((*registry.MODELS, *CONTROLS))
            raise ValueError(f"unknown model {name!r}; choose from {known}")
    return found


def of(inpainters: dict[str, Inpainter], config: SamplingConfig | None = None) -> list[Contestant]:
    """Contestants from any `Inpainter`s by name, for tests and for models that are not in the registry.

    An inpainter may have `weights_identity` (dict); without it, its name identifies its weights.
    """
    return [
        Contestant(
            name=name,
            title=name,
            config=config or SamplingConfig(),
            load=partial(_unchanged, inpainter),
            weights=getattr(inpainter, "weights_identity", {"name": name}),
            parameters=parameters_of(inpainter),
            license="",
            source="",
            learned=hasattr(inpainter, "pipeline"),
        )
        for name, inpainter in inpainters.items()
    ]


def _unchanged(inpainter: Inpainter) -> Inpainter:
    return inpainter


def parameters_of(inpainter: Inpainter) -> int:
    """Number of parameters of the networks in its pipeline; 0 without a pipeline."""
    components = getattr(getattr(inpainter, "pipeline", None), "components", {})
    return sum(
        sum(weight.numel() for weight in part.parameters())
        for part in components.values()
        if hasattr(part, "parameters")
    )


@cache
def code_sha256() -> str:
    """Hash of the sources that a fill depends on, read once: the code that runs, even if a file is edited meanwhile."""
    package = store.sources_sha256(
        PACKAGE_ROOT, ("moebius/**/*.py",), tuple(f"moebius/{room}/" for room in OTHER_ROOMS)
    )
    return package + store.sources_sha256(ROOT, FILL_SOURCES)


def _control(name: str, title: str, make: Callable) -> Contestant:
    return Contestant(
        name=name,
        title=title,
        config=SamplingConfig(),
        load=make,
        weights={},
        parameters=0,
        license="",
        source="eval/controls.py",
        learned=False,
    )


def _registered(name: str, options: Options) -> Contestant:
    card = registry.card(name)
    learned = card.learned
    folder = options.weights.get(name, options.weights.get("") if learned else None)
    load_options = registry.LoadOptions(
        weights=Path(folder) if folder else None,
        variant=options.variant if card.network else None,
        device=options.device,
        dtype=options.dtype or ("float32" if card.network else None),
    )
    state = card.availability(load_options)
    if not state.can_run:
        raise ValueError(f"{name} cannot run here: {state.reason}")
    config = SamplingConfig()  # only learned models have settings
    if learned:
        config = dataclasses.replace(options.config, **options.overrides.get(name, {})).with_defaults(card.defaults)
    return Contestant(
        name=name,
        title=card.title,
        config=config,
        load=lambda: card.load(load_options, no_progress),
        weights=_identity(card, load_options, state.weights) if learned else {},
        parameters=_parameters(card, load_options),
        license=card.license,
        source=card.source,
        learned=learned,
    )


def _identity(card: registry.ModelCard, load_options: registry.LoadOptions, where: str) -> dict:
    """Hashes of the weight files if they are on this computer, else their source."""
    if card.network:
        files = locate.locate(load_options.variant, load_options.weights, network=card.network)
        return {
            "variant": files.variant,
            "denoiser": _hash(files.denoiser),
            "autoencoder": _hash(files.autoencoder),
        }
    if folder := card.folder(load_options):
        names = [
            path for path in sorted(folder.rglob("*")) if path.suffix in (".bin", ".safetensors", ".gguf", ".json")
        ]
        return {path.relative_to(folder).as_posix(): _hash(path) for path in names}
    return {"where": where}


def _parameters(card: registry.ModelCard, load_options: registry.LoadOptions) -> int:
    """The published number; for a network of another size (with a `config.json` beside its weights) counted in its
    file.

    It is not counted in the loaded model, because the fused version holds products of weights.
    """
    if card.network:
        file = locate.locate(load_options.variant, load_options.weights, network=card.network).denoiser
    elif card.parameters or not (folder := card.folder(load_options)):
        return card.parameters
    else:  # a student that the user trained
        file = locate.locate(None, folder).denoiser
    return _count(file) if (file.parent / "config.json").is_file() else card.parameters


def _count(file: Path) -> int:
    """Count of the numbers in a weights file, without the statistics of BatchNorms."""
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, "pt") as tensors:
            shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}
    else:
        import torch

        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        shapes = {key: list(tensor.shape) for key, tensor in state.items()}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(statistics))


@cache
def _hash(path: Path) -> str:
    return sha256(path)
