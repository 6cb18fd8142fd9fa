"""The settings of a fill travel as one object, from the components and the page's API to the model's."""

from dataclasses import fields

import gradio as gr
import pytest

from moebius.config import SamplingConfig
from moebius.ui import settings
from moebius.ui.page import build_app
from moebius.ui.settings import FillSettings


def test_what_is_chosen_reaches_the_models_settings():
    chosen = FillSettings(
        recipe="published",
        steps=7,
        guidance=3.5,
        scheduler="euler",
        feather_px=9,
        prompt="a wall",
        seed=" 12 ",
        match_colours=False,
    )
    assert chosen.sampling_config() == SamplingConfig(
        recipe="published",
        num_inference_steps=7,
        guidance_scale=3.5,
        scheduler="euler",
        feather_px=9,
        prompt="a wall",
        match_colours=False,
    )
    assert chosen.names_a_seed and chosen.chosen_seed() == 12


def test_what_is_left_open_is_the_models_own():
    assert FillSettings().sampling_config() == SamplingConfig()
    assert not FillSettings(seed=" ").names_a_seed
    assert 0 <= FillSettings(seed="").chosen_seed() < 2**32


@pytest.mark.parametrize("seed", ["seven", "-1", "1.5", str(2**63), "²"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="the seed must be a whole number"):
        FillSettings(seed=seed).chosen_seed()


def test_each_component_is_named_as_its_field():
    names = [field.name for field in fields(FillSettings)]
    with gr.Blocks():
        assert list(settings.fill_settings().inputs()) == names
        assert list(settings.compare_settings([]).inputs()) == [
            name for name in names if name not in ("guidance", "grow_mask")
        ]


def test_scripts_name_the_settings_as_ever_and_in_the_same_order():
    told = build_app().get_api_info(all_endpoints=True)["named_endpoints"]
    ours = ["variant", "recipe", "steps", "guidance", "seed", "scheduler", "feather_px", "prompt", "plan"]
    ours += ["match_colours", "grow_mask"]
    compared = [name for name in ours if name != "guidance"]
    for endpoint, first, then in (
        ("/fill", ["layers", "model"], ours),
        ("/fill_photos", ["layers", "mask_for", "model"], ours),
        ("/compare", ["layers", "names"], compared),
    ):
        assert [one["parameter_name"] for one in told[endpoint]["parameters"]] == [*first, *then]
