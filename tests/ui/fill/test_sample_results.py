"""A sample that somebody has filled is seen filled by everybody who chooses it after that."""

from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from moebius import registry
from moebius.config import SamplingConfig
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.sample_results import NOTE, is_default
from moebius.ui.settings import FillSettings
from tests.helpers.walk import smallest_sample

FIRST, SECOND, THIRD = (SimpleNamespace(session_hash=name) for name in ("first", "second", "third"))
OWN = vars(FillSettings(steps=20, guidance=2.0, prompt="as the page has it"))
"""Of the page as it opens."""


def quiet(share, desc):
    """A progress that nobody sees."""


@pytest.fixture
def actions(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    actions = Actions()
    yield actions
    actions.sessions.close_all()


def fill(actions: Actions, visitor, layers=None, model=registry.AUTO, **changes) -> tuple:
    return actions.fill(layers, model, request=visitor, progress=quiet, **OWN | changes)


def test_the_first_result_is_kept_and_shown_at_once(actions):
    index = smallest_sample()
    for visitor in (FIRST, SECOND):
        actions.load_sample(index, visitor)
        assert actions.sample_result(visitor) == (None, gr.skip(), gr.skip()), "nobody has filled it yet"
    first = fill(actions, FIRST)
    pictures, download, facts = actions.sample_result(SECOND)
    before, after = (np.asarray(Image.open(path)) for path in pictures["value"])
    np.testing.assert_array_equal(after, np.asarray(Image.open(first[1]["value"])))
    assert Path(download["value"]).read_bytes() == Path(first[1]["value"]).read_bytes()
    assert download["label"] == first[1]["label"] and NOTE in facts and first[2] in facts
    mask = actions.sessions.get("second").mask()
    assert (before[mask] != after[mask]).any(axis=1).mean() > 0.5
    assert len(actions.steps(SECOND)["value"]) == 2, "it can be gone back from"
    assert actions.sessions.get("second").folder in Path(download["value"]).parents, "a file of the visitor's own"
    actions.load_sample(index + 1 if index == 0 else 0, THIRD)
    assert actions.sample_result(THIRD)[0] is None


@pytest.mark.parametrize(
    "other", [{"seed": "7"}, {"feather_px": 0}, {"model": "classical"}], ids=["seed", "settings", "model"]
)
def test_what_was_filled_otherwise_is_not_kept(actions, other):
    actions.load_sample(smallest_sample(), FIRST)
    fill(actions, FIRST, **other)
    actions.load_sample(smallest_sample(), SECOND)
    assert actions.sample_result(SECOND)[0] is None


def test_nothing_of_a_visitors_own_is_kept(actions, tmp_path):
    """Another mask, a result that is filled again, a photo of one's own with the same pixels."""
    index = smallest_sample()
    small = Image.new("L", Image.open(actions.load_sample(index, FIRST)["photo"]).size)
    small.paste(255, (5, 5, 40, 40))
    small.save(tmp_path / "mask.png")
    fill(actions, FIRST, [str(tmp_path / "mask.png")])
    actions.use_result(FIRST)
    fill(actions, FIRST, [str(tmp_path / "mask.png")])
    actions.go_to(0, FIRST)
    size = actions.sessions.get("first").size
    small.resize(size, Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    actions.load_mask(str(tmp_path / "mask.png"), FIRST)
    fill(actions, FIRST)
    actions.load_sample(index, SECOND)
    assert actions.sample_result(SECOND)[0] is None


def test_settings_that_a_model_does_not_read_do_not_count():
    classical, student = registry.MODELS["classical"], registry.MODELS["moebius"]
    odd = SamplingConfig(num_inference_steps=33, guidance_scale=4.0, prompt="a wall")
    assert is_default(odd, classical) and not is_default(odd, student)
    assert is_default(SamplingConfig(num_inference_steps=20, guidance_scale=2.0, prompt="a wall"), student)
    assert not is_default(SamplingConfig(feather_px=5), classical)
