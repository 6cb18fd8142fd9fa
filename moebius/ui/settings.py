"""The settings of a fill as components, each default read from `moebius.config`."""

from __future__ import annotations

from collections.abc import Iterable

import gradio as gr

from moebius.config import MODEL_DEFAULTS, RECIPES, REMOVAL_PROMPT, SCHEDULERS, SamplingConfig
from moebius.inpainters.flux import memory_plans
from moebius.weights import locate

PROMPTED, PLANNED = ("flux-fill", "flux-fill-pro"), ("flux-fill",)
"""The models that read a prompt, and those that memory plans are for."""

Settings = list[gr.components.Component]


def fill_settings() -> Settings:
    """Variant, recipe, steps, guidance, seed, scheduler, feather, prompt, plan: the order of `Actions.fill`."""
    own = MODEL_DEFAULTS["moebius"]
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        gr.HTML("<p class='about'>The classical filler heeds only the last one.</p>", padding=False)
        flux = _flux([])
        variant, recipe, scheduler = _network()
        with gr.Row():
            steps = gr.Slider(1, 100, own.num_inference_steps, step=1, label="Steps", min_width=160)
            guidance = gr.Slider(1, 10, own.guidance_scale, step=0.1, label="Guidance", min_width=160)
        seed, feather = _seed_and_feather()
    return [variant, recipe, steps, guidance, seed, scheduler, feather, *flux]


def compare_settings(shown_for: Iterable[str]) -> Settings:
    """Variant, recipe, steps, seed, scheduler, feather, prompt, plan: the order of `CompareActions.compare`.

    `shown_for`: the models that are chosen at first.
    """
    with gr.Accordion("Settings", open=False, elem_id="compare-settings"):
        gr.HTML("<p class='about'>Every model takes its own guidance.</p>", padding=False)
        flux = _flux(shown_for)
        variant, recipe, scheduler = _network()
        steps = gr.Slider(0, 100, 0, step=1, label="Steps; 0: as many as each model's authors take", min_width=160)
        seed, feather = _seed_and_feather()
    return [variant, recipe, steps, seed, scheduler, feather, *flux]


def flux_visible(names: Iterable[str]) -> tuple[dict, dict]:
    """What becomes of prompt and plan where these models are chosen."""
    prompted, planned = _flux_shown(names)
    return gr.update(visible=prompted), gr.update(visible=planned)


def _flux_shown(names: Iterable[str]) -> tuple[bool, bool]:
    names = set(names)
    return bool(names & set(PROMPTED)), bool(names & set(PLANNED))


def _flux(shown_for: Iterable[str]) -> Settings:
    prompted, planned = _flux_shown(shown_for)
    plans = [
        ("Automatic: the best that fits", ""),
        *((f"{p.name}: {p.text}", p.name) for p in memory_plans.PLANS.values()),
    ]
    return [
        gr.Textbox(
            REMOVAL_PROMPT,
            label="Prompt for FLUX",
            info="What should be seen in the hole, not what should go. Empty: the text that stands here at first.",
            max_lines=3,
            max_length=1000,
            visible=prompted,
            elem_classes="prompt",
        ),
        gr.Dropdown(plans, value="", label="How FLUX is held in memory", visible=planned, elem_classes="plan"),
    ]


def _network() -> Settings:
    default = SamplingConfig()
    variants = [("as found, else Places2", ""), *((v.title, v.name) for v in locate.VARIANTS.values())]
    variant = gr.Dropdown(variants, value="", label="Variant of the weights", min_width=300)
    with gr.Row():
        recipe = gr.Dropdown(list(RECIPES), value=default.recipe, label="Recipe", min_width=120)
        scheduler = gr.Dropdown(list(SCHEDULERS), value=default.scheduler, label="Scheduler", min_width=120)
    return [variant, recipe, scheduler]


def _seed_and_feather() -> Settings:
    with gr.Row():
        seed = gr.Textbox("", label="Seed", placeholder="a new one each time", max_lines=1, min_width=160)
        feather = gr.Slider(0, 64, SamplingConfig().feather_px, step=1, label="Blend, in pixels", min_width=160)
    return [seed, feather]
