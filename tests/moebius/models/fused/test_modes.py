"""The student's modes by name."""

import pytest
import torch

from moebius.bench import networks
from moebius.models.fused import local_kernel, modes
from moebius.models.fused.lambda_layers import LocalLambda
from moebius.registry import MODELS, LoadOptions
from tests.helpers.deterministic import normal


def network():
    return networks.network("moebius", "cpu", torch.float32, tiny=True)


def test_each_mode_is_what_its_name_says(monkeypatch):
    monkeypatch.setattr(local_kernel, "triton", object())
    eager = network()
    assert modes.in_mode(eager, "eager") is eager
    for mode in modes.MODES[1:]:
        fused = modes.in_mode(eager, mode)
        kernels = {part.kernel for part in fused.modules() if isinstance(part, LocalLambda)}
        assert kernels == {"triton" if "triton" in mode else "torch"}
        assert (fused._graphs is not None) == ("compiled" in mode)
    sample, ids = normal(1, 1, 9, 8, 8), torch.arange(10)[None]
    fused = modes.in_mode(eager.fuse(), "fused")
    torch.testing.assert_close(fused(sample, 9, ids).sample, eager(sample, 9, ids).sample, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="unknown mode 'quick'; choose from eager, fused, compiled"):
        modes.in_mode(network(), "quick")
    with pytest.raises(ValueError, match="fused already"):
        modes.in_mode(network().fuse(), "eager")


def test_the_environment_chooses_a_mode_and_a_word_is_said(small_weights, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MODE", "compiled")
    said = []
    options = LoadOptions(weights=small_weights, device="cpu", dtype="float32")
    model = MODELS["moebius"].load(options, lambda share, text: said.append(text))
    assert model.pipeline.unet._graphs is not None and any("compile the network" in text for text in said)
    monkeypatch.delenv("MOEBIUS_MODE")
    assert MODELS["moebius"].load(options, lambda share, text: None).pipeline.unet._graphs is None


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory):
    from tests.helpers.standin_weights import write_published

    return write_published(tmp_path_factory.mktemp("weights"), small=True)
