"""The student's forms by name."""

import pytest
import torch

from moebius.bench import timing
from moebius.models.fused import local_kernel, modes
from moebius.models.fused.lambda_layers import LocalLambda
from moebius.registry import MODELS, LoadOptions
from tests.helpers.deterministic import normal


def network():
    return timing.network("moebius", "cpu", torch.float32, tiny=True)


def test_each_form_is_what_its_name_says(monkeypatch):
    monkeypatch.setattr(local_kernel, "triton", object())
    trained = network()
    assert modes.as_form(trained, "trained") is trained
    for form in modes.FORMS[1:]:
        fast = modes.as_form(trained, form)
        kernels = {part.kernel for part in fast.modules() if isinstance(part, LocalLambda)}
        assert kernels == {"triton" if "triton" in form else "torch"}
        assert (fast._graphs is not None) == ("compiled" in form)
    sample, ids = normal(1, 1, 9, 8, 8), torch.arange(10)[None]
    fast = modes.as_form(trained.fuse(), "fast")
    torch.testing.assert_close(fast(sample, 9, ids).sample, trained(sample, 9, ids).sample, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="unknown form 'quick'; choose from trained, fast"):
        modes.as_form(network(), "quick")
    with pytest.raises(ValueError, match="in its fast form already"):
        modes.as_form(network().fuse(), "trained")


def test_the_environment_chooses_a_form_and_a_word_is_said(small_weights, monkeypatch):
    monkeypatch.setenv("MOEBIUS_FORM", "compiled")
    said = []
    options = LoadOptions(weights=small_weights, device="cpu", dtype="float32")
    model = MODELS["moebius"].load(options, lambda share, text: said.append(text))
    assert model.pipeline.unet._graphs is not None and any("compile the network" in text for text in said)
    monkeypatch.delenv("MOEBIUS_FORM")
    assert MODELS["moebius"].load(options, lambda share, text: None).pipeline.unet._graphs is None


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory):
    from tests.helpers.standin_weights import write_published

    return write_published(tmp_path_factory.mktemp("weights"), small=True)
