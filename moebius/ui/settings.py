"""The settings of a fill: what a visitor chose, and the components to choose with. Defaults come from `moebius.config`.

They travel as one object. An event gets `inputs_kwargs=panel.inputs()`, its handler ends with `**settings` and makes
`FillSettings(**settings)` of it; so a field's name is that of the component and of the argument in the page's API.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import gradio as gr

from moebius import registry
from moebius.config import RECIPES, REMOVAL_PROMPT, SCHEDULERS, SamplingConfig
from moebius.fill import seeds
from moebius.inpainters.flux import memory_plans
from moebius.weights import catalog

GROWN = 2
"""The page's own `FillSettings.grow_mask`."""


@dataclass(frozen=True, kw_only=True)
class FillSettings:
    """Values as they come from the page or a script; `sampling_config` and `chosen_seed` check them."""

    variant: str = ""
    """A name in `catalog.VARIANTS`; "": what the folder of weights holds."""
    recipe: str = SamplingConfig.recipe
    steps: float = 0
    """0: as many as the model's authors take."""
    guidance: float = 0
    """0: the model's own."""
    seed: str = ""
    """"": a new one each time."""
    scheduler: str = SamplingConfig.scheduler
    feather_px: float = SamplingConfig.feather_px
    prompt: str = ""
    """"": `REMOVAL_PROMPT`."""
    plan: str = ""
    """A name in `memory_plans.PLANS`; "": the best that fits."""
    match_colours: bool = SamplingConfig.match_colours
    grow_mask: float = 0
    """By how much a mask that was painted is grown, in % of its size; see `moebius.masking.grow`."""

    def sampling_config(self) -> SamplingConfig:
        """Raises ValueError for a value out of range."""
        return SamplingConfig(
            recipe=self.recipe,
            num_inference_steps=int(self.steps) or None,
            guidance_scale=float(self.guidance) or None,
            scheduler=self.scheduler,
            feather_px=int(self.feather_px),
            prompt=self.prompt or None,
            match_colours=bool(self.match_colours),
        )

    @property
    def names_a_seed(self) -> bool:
        return bool(str(self.seed or "").strip())

    def chosen_seed(self) -> int:
        """The seed that was typed, a new one where none was. ValueError for anything else."""
        text = str(self.seed or "").strip()
        if text and not (text.isascii() and text.isdigit() and int(text) <= seeds.MAX_SEED):
            raise ValueError(f"the seed must be a whole number from 0 to 2**63 - 1, got {text!r}; or leave it empty")
        return int(text) if text else seeds.random_seed()


@dataclass(frozen=True, kw_only=True)
class SettingsPanel:
    """A component for each field of `FillSettings`, in the order of the page's API; None: it is not asked here."""

    variant: gr.Dropdown
    recipe: gr.Dropdown
    steps: gr.Slider
    guidance: gr.Slider | None = None
    seed: gr.Textbox
    scheduler: gr.Dropdown
    feather_px: gr.Slider
    prompt: gr.Textbox
    plan: gr.Dropdown
    match_colours: gr.Checkbox
    grow_mask: gr.Slider | None = None

    def inputs(self) -> dict[str, gr.components.Component]:
        """For `inputs_kwargs` of an event."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: component for name, component in every.items() if component is not None}


def fill_settings() -> SettingsPanel:
    """Of the Fill and Many photos tabs."""
    own = registry.reference().defaults
    grow_mask = gr.Slider(
        0,
        10,
        GROWN,
        step=0.5,
        label="Grow the painted mask, in % of its size",
        info="The object's soft rim goes, too: what is filled is seen around the mask. 0: only what is painted.",
        elem_id="grow",
    )
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        gr.HTML("<p class='about'>PatchMatch uses only the blend.</p>", padding=False)
        prompt, plan = _flux([])
        variant, recipe, scheduler = _network()
        with gr.Row():
            steps = gr.Slider(1, 100, own.num_inference_steps, step=1, label="Steps", min_width=160)
            guidance = gr.Slider(1, 10, own.guidance_scale, step=0.1, label="Guidance", min_width=160)
        seed, feather_px, match_colours = _seed_and_rim()
    return SettingsPanel(
        variant=variant,
        recipe=recipe,
        steps=steps,
        guidance=guidance,
        seed=seed,
        scheduler=scheduler,
        feather_px=feather_px,
        prompt=prompt,
        plan=plan,
        match_colours=match_colours,
        grow_mask=grow_mask,
    )


def compare_settings(shown_for: Iterable[str]) -> SettingsPanel:
    """Of the comparison, in the accordion around it. `shown_for`: the models that are chosen at first."""
    gr.HTML("<p class='about'>Every model uses its own guidance.</p>", padding=False)
    prompt, plan = _flux(shown_for)
    variant, recipe, scheduler = _network()
    steps = gr.Slider(0, 100, 0, step=1, label="Steps; 0: each model's own", min_width=160)
    seed, feather_px, match_colours = _seed_and_rim()
    return SettingsPanel(
        variant=variant,
        recipe=recipe,
        steps=steps,
        seed=seed,
        scheduler=scheduler,
        feather_px=feather_px,
        prompt=prompt,
        plan=plan,
        match_colours=match_colours,
    )


def flux_visible(names: Iterable[str]) -> tuple[dict, dict]:
    """Updates of prompt and plan: shown where one of these models reads them."""
    prompted, planned = _flux_shown(names)
    return gr.update(visible=prompted), gr.update(visible=planned)


def _flux_shown(names: Iterable[str]) -> tuple[bool, bool]:
    cards = [registry.card(name) for name in names]
    return any(card.reads_prompt for card in cards), any(card.has_plans for card in cards)


def _flux(shown_for: Iterable[str]) -> tuple[gr.Textbox, gr.Dropdown]:
    prompted, planned = _flux_shown(shown_for)
    plans = [
        ("Automatic: the best that fits", ""),
        *((f"{p.name}: {p.text}", p.name) for p in memory_plans.PLANS.values()),
    ]
    prompt = gr.Textbox(
        REMOVAL_PROMPT,
        label="Prompt for FLUX",
        info="What should be in the hole, not what to remove. Empty: the default text.",
        max_lines=3,
        max_length=1000,
        visible=prompted,
        elem_classes="prompt",
    )
    plan = gr.Dropdown(plans, value="", label="Memory plan for FLUX", visible=planned, elem_classes="plan")
    return prompt, plan


def _network() -> tuple[gr.Dropdown, gr.Dropdown, gr.Dropdown]:
    """Variant, recipe, scheduler."""
    default = SamplingConfig()
    named = [(variant.title, variant.name) for variant in catalog.VARIANTS.values()]
    variants = [("Installed one, else Places2", ""), *named]
    variant = gr.Dropdown(variants, value="", label="Variant of the weights", min_width=300)
    with gr.Row():
        recipe = gr.Dropdown(list(RECIPES), value=default.recipe, label="Recipe", min_width=120)
        scheduler = gr.Dropdown(list(SCHEDULERS), value=default.scheduler, label="Scheduler", min_width=120)
    return variant, recipe, scheduler


def _seed_and_rim() -> tuple[gr.Textbox, gr.Slider, gr.Checkbox]:
    default = SamplingConfig()
    with gr.Row():
        seed = gr.Textbox("", label="Seed", placeholder="a new one each time", max_lines=1, min_width=160)
        feather_px = gr.Slider(0, 64, default.feather_px, step=1, label="Blend, in pixels", min_width=160)
    match_colours = gr.Checkbox(
        default.match_colours,
        label="Match the colours at the mask's edge",
        info="Takes away a model's colour cast, as it shows around the hole. PatchMatch has none.",
    )
    return seed, feather_px, match_colours
