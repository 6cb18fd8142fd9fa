"""Every setting of a fill, each default written once; command line, page and evaluation read them here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

MODEL_SIZE = 512
"""Side, in pixels, of the square that the published networks were trained on."""

REMOVAL_PROMPT = "plain background that continues the surroundings, nothing in front of it, sharp photograph"
"""The prompt for FLUX where none is given. Describing what should be there works; "remove the …" does not."""

SCHEDULERS = ("ddim", "dpm++", "unipc", "euler")
"""Samplers by their short names; `moebius.pipeline.make_scheduler` builds them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How sampling starts and how its result is put back. The two that exist are in `RECIPES`."""

    name: str
    strength: float
    """Share of the noise schedule that is run, in (0, 1]; 1 starts from pure noise."""
    starts_from: Literal["image", "masked_image"]
    """Which image is noised when strength < 1. With `image` the object under the hole can show through."""
    paste: Literal["blurred", "feathered"]
    """`blurred`: the published Gaussian of radius 3 at the model's size. `feathered`: known pixels stay identical."""
    whole_picture: bool
    """True: the picture is resized as a whole (short side to 512). False: a square around every hole."""


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="photo", strength=1.0, starts_from="masked_image", paste="feathered", whole_picture=False),
        Recipe(name="published", strength=0.99, starts_from="image", paste="blurred", whole_picture=True),
    )
}
"""`photo`, for people: the pixels under the hole do not influence the result. `published`, for comparison with the
paper (arXiv:2606.19195): its code starts from the noised unmasked picture, so removed objects can show through."""


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """The steps and guidance that a model's authors chose, used where a `SamplingConfig` has None."""

    num_inference_steps: int
    guidance_scale: float


STUDENT_DEFAULTS = ModelDefaults(num_inference_steps=20, guidance_scale=2.0)
PIXELHACKER_DEFAULTS = ModelDefaults(num_inference_steps=20, guidance_scale=4.5)
FLUX_FILL_DEFAULTS = ModelDefaults(num_inference_steps=50, guidance_scale=30.0)
FLUX_FILL_PRO_DEFAULTS = ModelDefaults(num_inference_steps=50, guidance_scale=60.0)


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Settings of one fill. Raises ValueError, naming value and range, for anything out of range."""

    recipe: str = "photo"
    num_inference_steps: int | None = None
    """None: the model's own, see `ModelDefaults`."""
    guidance_scale: float | None = None
    """None: the model's own. For student and PixelHacker it is classifier-free: 1.0 turns it off and halves the work.
    For FLUX it is an input of the network and costs nothing."""
    guidance_share: float = 1.0
    """Share of the steps, the first ones, that are guided; the others cost half. Only student and PixelHacker."""
    prompt: str | None = None
    """What the hole should show. Only FLUX reads it; None: `REMOVAL_PROMPT`."""
    strength: float | None = None
    """None: the recipe's."""
    noise_offset: float = 0.0357
    """Standard deviation of a constant added to the noise of each latent channel."""
    scheduler: str = "ddim"
    feather_px: int = 4
    """Width in pixels of the blend outside the painted edge; 0 keeps every unpainted pixel."""
    context: float = 1.75
    """Side of the square around a hole, as a multiple of the hole's longer side."""
    max_squares: int = 6
    """A long thin hole (a wire) is filled in at most this many squares; fewer are coarser and faster."""
    match_colours: bool = True
    """Correct the colours of a model's fill by its error around the hole, see `moebius.patchmatch.seam`."""
    detail: bool = True
    """Add fine texture from the photo if a square was scaled down for the model, see `moebius.fill.detail`."""

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"unknown recipe {self.recipe!r}; choose from {', '.join(RECIPES)}")
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"unknown scheduler {self.scheduler!r}; choose from {', '.join(SCHEDULERS)}")
        for name, low, high in (
            ("num_inference_steps", 1, 1000),
            ("guidance_scale", 1.0, 100.0),
            ("guidance_share", 0.0, 1.0),
            ("noise_offset", 0.0, 1.0),
            ("feather_px", 0, 64),
            ("context", 1.1, 8.0),
            ("max_squares", 1, 256),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
        if self.strength is not None and not 0.0 < self.strength <= 1.0:
            raise ValueError(f"strength must be in (0, 1], got {self.strength}")

    def with_defaults(self, defaults: ModelDefaults | None) -> SamplingConfig:
        """A copy with the model's own steps and guidance where this one has None. defaults: None: the model has
        neither."""
        if defaults is None:
            return self
        steps, guidance = self.num_inference_steps, self.guidance_scale
        return replace(
            self,
            num_inference_steps=defaults.num_inference_steps if steps is None else steps,
            guidance_scale=defaults.guidance_scale if guidance is None else guidance,
        )

    @property
    def effective_strength(self) -> float:
        return RECIPES[self.recipe].strength if self.strength is None else self.strength
