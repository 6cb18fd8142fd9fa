"""ZeroGPU with a stand-in for its package: what it is told, and that only what pickles goes in and out."""

import importlib.machinery
import importlib.util
import math
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import compare, model_cache, paper, registry
from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.progress import Cancelled
from moebius.ui import zerogpu
from moebius.ui.gpu_seconds import Ledger, Row
from tests.helpers.deterministic import picture

PHOTO = Image.fromarray(picture(3, 160))
MASK = np.zeros((160, 160), bool)
MASK[60:90, 60:100] = True
CONFIG = SamplingConfig(num_inference_steps=2)


class Lender:
    """As `spaces.GPU`: a decorator. Calls go through pickle, as between processes; how long each may take is kept."""

    def __init__(self):
        self.seconds = []

    def __call__(self, duration):
        def decorate(task):
            def call(*arguments):
                self.seconds.append(duration(*arguments))
                return pickle.loads(pickle.dumps(task(*pickle.loads(pickle.dumps(arguments)))))

            return call

        return decorate


@pytest.fixture(scope="module")
def options(standin_student) -> registry.LoadOptions:
    return registry.LoadOptions(weights=standin_student, device="cpu", dtype="float32")


@pytest.fixture
def lender(monkeypatch, options):
    package = types.ModuleType("spaces")
    package.__spec__ = importlib.machinery.ModuleSpec("spaces", None)
    package.GPU = Lender()
    monkeypatch.setitem(sys.modules, "spaces", package)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zerogpu, "LEDGER", Ledger())
    model_cache.release()
    assert zerogpu.is_available()
    zerogpu.start(options)
    yield package.GPU
    model_cache.lend_through(None)
    model_cache.release()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_elsewhere_nothing_changes(monkeypatch):
    assert not zerogpu.is_available()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zerogpu, "find_spec", lambda name: None)
    assert not zerogpu.is_available(), "the package is absent"


def test_the_model_is_loaded_before_the_page_and_fills_as_ever(lender, options):
    assert [model.name for model in model_cache.residents()] == ["moebius"], "loaded before the first visitor"
    borrowed = model_cache.acquire("moebius", options)
    seen = []
    fill = fill_photo(borrowed, PHOTO, MASK, CONFIG, seeded(), lambda share, text: seen.append(share))
    plain = fill_photo(borrowed.model, PHOTO, MASK, CONFIG, seeded())
    np.testing.assert_array_equal(np.asarray(fill.raster), np.asarray(plain.raster))
    np.testing.assert_array_equal(fill.changed, plain.changed)
    assert fill.squares == plain.squares and set(seen) == {0.0, 1.0} and seen[-1] == 1.0
    assert borrowed.facts() == borrowed.model.facts()
    step_s = zerogpu.MARGIN * paper.TIMINGS["moebius"].step_ms / 1000
    assert lender.seconds == [math.ceil(zerogpu.OVERHEAD_S + 2 * step_s)]
    for _ in range(2):
        zerogpu.LEDGER.add("moebius", Row(2, 0.1, 0.5))
    known = zerogpu.LEDGER.seconds("moebius", 2)
    assert known is not None, "the fill above was the third that is known"
    assert zerogpu.seconds_for("moebius", options, PHOTO, MASK, CONFIG, 7) == math.ceil(known)


def test_the_seconds_grow_with_steps_and_squares_and_have_ends(monkeypatch, options):
    def seconds(name="moebius", mask=MASK, steps=20):
        return zerogpu.seconds_for(name, options, PHOTO, mask, SamplingConfig(num_inference_steps=steps), 0)

    apart = np.zeros((1000, 4000), bool)
    apart[100:130, 100:140] = apart[800:830, 3800:3840] = True
    one, two = seconds(steps=100), seconds(mask=apart, steps=100)
    assert seconds(steps=20) < one < two and seconds("pixelhacker", steps=100) > one
    assert seconds("flux-fill", steps=1000) == zerogpu.MAX_S
    assert seconds("classical", steps=None) == seconds(mask=np.zeros_like(MASK)) == zerogpu.OVERHEAD_S
    large = np.zeros((2000, 2000), bool)
    large[500:1500, 500:1500] = True
    plain, sharp = (
        zerogpu.seconds_for("moebius", options, PHOTO, large, SamplingConfig(num_inference_steps=1, detail=on), 0)
        for on in (False, True)
    )
    assert sharp - plain == pytest.approx(zerogpu.DETAIL_S * 1.75**2, abs=1), "a square of 1750 for a model of 512"
    monkeypatch.setenv("MOEBIUS_MAX_SECONDS", "7")
    assert one > seconds(steps=100) == 7


def test_errors_keep_their_words_and_who_stopped_gets_nothing(lender, options):
    borrowed = model_cache.acquire("moebius", options)
    with pytest.raises(ValueError, match="160"):
        fill_photo(borrowed, PHOTO, np.ones((10, 10), bool), CONFIG, seeded())

    def stopped(share, text):
        if share == 1.0:
            raise Cancelled

    with pytest.raises(Cancelled):
        fill_photo(borrowed, PHOTO, MASK, CONFIG, seeded(), stopped)


def test_the_comparison_runs_there_too(lender, options):
    (outcome,) = compare.compare(PHOTO, MASK, ["moebius"], CONFIG, 7, lambda name: options)
    assert outcome.fill is not None and outcome.facts["device"] == "cpu" and len(lender.seconds) == 1
