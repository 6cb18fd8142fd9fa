"""PixelHacker's U-Net against vectors computed with the published network (arXiv:2504.20438)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moebius.models.gla import GatedLinearAttention
from moebius.models.pixelhacker import PixelHackerUNet
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS
from moebius.weights.load import convert_pixelhacker
from tests.helpers import normals
from tests.helpers.deterministic import normal, values

DATA = Path(__file__).parents[2] / "data"
VECTORS = np.load(DATA / "pixelhacker_unet.npz")
IDS = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])
SMALL = dict(sample_size=16, block_out_channels=(32, 64, 128, 128), cross_attention_dim=32, encoder_hid_dim=48)


def load(keys: str, **config) -> PixelHackerUNet:
    shapes = json.loads((DATA / keys).read_text())
    state = {key: torch.as_tensor(values(key, tuple(shape))) for key, shape in shapes.items()}
    with torch.device("meta"):
        network = PixelHackerUNet(**config)
    network.load_state_dict(convert_pixelhacker(state), strict=True, assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def small() -> PixelHackerUNet:
    return load("pixelhacker_small_state_dict.json", **SMALL)


def relative_error(ours: torch.Tensor, reference: np.ndarray) -> float:
    return float(np.linalg.norm(ours.numpy() - reference) / np.linalg.norm(reference))


@torch.no_grad()
def test_small_network_gives_the_published_outputs_of_every_stage(small):
    out = small(normal(4, 2, 9, 16, 16), 741, IDS)
    assert relative_error(out.sample, VECTORS["small_t741"]) < 2e-5
    assert len(out.block_outputs) == 9
    for index, block in enumerate(out.block_outputs):
        assert relative_error(block, VECTORS[f"small_t741_block{index}"]) < 2e-5


@pytest.mark.parametrize("count", [1, 2, 311, 1_000_000])
def test_the_weights_are_drawn_as_numpy_draws_them(count):
    drawn = np.random.RandomState(count).standard_normal(count).astype(np.float32)
    np.testing.assert_array_equal(normals.standard_normal(count, count), drawn)


@pytest.mark.slow
@torch.no_grad()
def test_full_network_gives_the_published_output():
    full = load("pixelhacker_state_dict.json")
    assert sum(p.numel() for p in full.parameters()) == 862_251_708
    out = full(normal(5, 2, 9, 64, 64)[1:], 500, IDS[1:], return_dict=False)  # the other of the pair costs seconds
    assert relative_error(out[0], VECTORS["full_t500"][1:]) < 2e-5
    assert tuple(out[1][5].shape) == (1, 1280, 16, 16)  # what the distillation compares


def test_every_self_attention_is_replaced(small):
    kinds = [type(module) for name, module in small.named_modules() if name.endswith("attn1")]
    assert kinds == [GatedLinearAttention] * 16


@torch.no_grad()
def test_the_memory_layout_of_the_input_does_not_matter(small):
    sample = normal(4, 2, 9, 16, 16)
    last = sample.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(small(last, 741, IDS).sample, small(sample, 741, IDS).sample, rtol=0, atol=0)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same_network(small, tmp_path):
    small.save_pretrained(tmp_path)
    again = PixelHackerUNet.from_pretrained(tmp_path)
    assert dict(again.config)["block_out_channels"] == [32, 64, 128, 128] and not again.training
    sample = normal(4, 2, 9, 16, 16)
    torch.testing.assert_close(again(sample, 741, IDS).sample, small(sample, 741, IDS).sample, rtol=0, atol=0)


@torch.no_grad()
def test_odd_grids_come_back_at_their_size(small):
    assert small(normal(3, 2, 9, 17, 26), 741, IDS).sample.shape == (2, 4, 17, 26)


def test_gradients_reach_every_parameter_with_and_without_checkpointing():
    def gradients(checkpointing: bool) -> dict:
        network = load("pixelhacker_small_state_dict.json", **SMALL).train()
        if checkpointing:
            network.enable_gradient_checkpointing()
        network(normal(4, 2, 9, 16, 16), 741, IDS).sample.square().mean().backward()
        return {name: parameter.grad for name, parameter in network.named_parameters()}

    plain, checkpointed = gradients(False), gradients(True)
    for name, gradient in plain.items():
        assert gradient is not None and gradient.isfinite().all(), name
        torch.testing.assert_close(gradient, checkpointed[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net(torch.zeros(1, 4, 16, 16), 1, IDS[:1]), r"must be \(B, 9, h, w\), got shape \(1, 4, 16, 16\)"),
        (lambda net: net(torch.zeros(1, 9, 16, 16), 1, IDS), r"must be \(1, 10\) .* got shape \(2, 10\)"),
        (lambda net: net.set_attention_kernel("cuda"), "unknown kernel 'cuda'; choose from torch, fla"),
    ],
)
def test_wrong_input_is_named(small, call, message):
    with pytest.raises(ValueError, match=message):
        call(small)
