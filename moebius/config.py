"""Every setting of a fill, each default written once; command line, page and evaluation read them here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MODEL_SIZE = 512
"""Side, in pixels, of the square that the published networks were trained on."""

SCHEDULERS = ("ddim", "dpm++", "unipc", "euler")
"""Samplers by their short names; `moebius.pipeline.make_scheduler` builds them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How sampling starts and how its result is put back. The two that exist are in `RECIPES`."""

    name: str
    strength: float
    """Share of the noise schedule that is run, in (0, 1]; 1 starts from pure noise."""
    starts_from: Literal["image", "masked_image"]
    """Whose latents are noised when strength < 1. `image` lets the object under the hole leak through."""
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
"""`photo`, for people: nothing of what lies under the hole reaches the result. `published`, for comparison with the
paper (arXiv:2606.19195): its code starts from the noised unmasked picture, so removed objects shine through."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Settings of one fill. Raises ValueError, naming value and range, for anything out of range."""

    recipe: str = "photo"
    num_inference_steps: int = 20
    guidance_scale: float = 2.0
    """Classifier-free guidance; 1.0 turns it off and halves the work. The paper's code uses 2.0 to 2.5."""
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

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"unknown recipe {self.recipe!r}; choose from {', '.join(RECIPES)}")
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"unknown scheduler {self.scheduler!r}; choose from {', '.join(SCHEDULERS)}")
        for name, low, high in (
            ("num_inference_steps", 1, 1000),
            ("guidance_scale", 1.0, 30.0),
            ("noise_offset", 0.0, 1.0),
            ("feather_px", 0, 64),
            ("context", 1.1, 8.0),
            ("max_squares", 1, 256),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
        if self.strength is not None and not 0.0 < self.strength <= 1.0:
            raise ValueError(f"strength must be in (0, 1], got {self.strength}")

    @property
    def effective_strength(self) -> float:
        return RECIPES[self.recipe].strength if self.strength is None else self.strength
