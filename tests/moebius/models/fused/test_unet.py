"""The inference form against the trained form and the published vectors."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from moebius.models import blocks
from moebius.models.fused import blocks as fused_blocks
from moebius.models.fused import ops
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet
from moebius.weights.load import convert_student
from tests.helpers.deterministic import normal, values

DATA = Path(__file__).parents[3] / "data"
VECTORS = np.load(DATA / "moebius_unet.npz")
IDS = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])


@pytest.fixture(scope="module")
def small() -> MoebiusUNet:
    shapes = json.loads((DATA / "moebius_small_state_dict.json").read_text())
    state = {key: torch.as_tensor(values(key, tuple(shape))) for key, shape in shapes.items()}
    network = MoebiusUNet(sample_size=16, block_out_channels=(32, 64, 128), cross_attention_dim=32, encoder_hid_dim=48)
    network.load_state_dict(convert_student(state))
    return network.eval()


def relative_error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    return float((ours - reference).norm() / reference.norm())


def test_it_gives_the_published_outputs(small):
    out = small.fuse()(normal(3, 2, 9, 16, 16), 741, IDS)
    assert relative_error(out.sample, torch.from_numpy(VECTORS["small_t741"])) < 1e-5
    for index, block in enumerate(out.block_outputs):
        assert relative_error(block, torch.from_numpy(VECTORS[f"small_t741_block{index}"])) < 1e-5


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("grid", [(32, 32), (64, 64), (24, 40)])
@torch.no_grad()
def test_it_equals_the_eager_network(small, batch, grid):
    sample, times = normal(batch, batch, 9, *grid), torch.linspace(1, 999, batch)
    ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS, BACKGROUND_IDS, FOREGROUND_IDS][:batch])
    assert relative_error(small.fuse()(sample, times, ids).sample, small(sample, times, ids).sample) < 1e-5


def test_conditions_and_grids_may_change_between_calls(small):
    network = small.fuse()
    for ids, side in ((IDS, 16), (IDS.flip(0), 16), (IDS, 32), (IDS[:1], 16), (IDS, 16)):
        sample = normal(7, len(ids), 9, side, side)
        with torch.no_grad():
            assert relative_error(network(sample, 500, ids).sample, small(sample, 500, ids).sample) < 1e-5


@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_branches_that_share_a_sample_equal_copies_of_it(small, batch):
    sample, ids, times = normal(5, batch, 9, 32, 32), IDS.repeat_interleave(batch, dim=0), torch.linspace(9, 999, batch)
    network = small.fuse()
    for time, both in ((741, 741), (times, times.repeat(2))):
        expected = small(sample.repeat(2, 1, 1, 1), both, ids).sample
        assert relative_error(network(sample, time, ids).sample, expected) < 1e-5
    with pytest.raises(ValueError, match="token_ids must be"):
        network(normal(5, 3, 9, 32, 32), 741, IDS)


def test_hidden_channels_in_pieces_give_the_same(small, monkeypatch):
    sample = normal(3, 2, 9, 16, 16)
    whole = small.fuse()(sample, 741, IDS).sample
    monkeypatch.setattr(fused_blocks, "_PIECE", 1000)
    assert relative_error(small.fuse()(sample, 741, IDS).sample, whole) < 1e-5


def test_without_onednn_it_gives_the_same(small, monkeypatch):
    sample = normal(3, 2, 9, 16, 16)
    with_it = small.fuse()(sample, 741, IDS).sample
    monkeypatch.setattr(ops, "_onednn_dtypes", lambda: ())
    assert relative_error(small.fuse()(sample, 741, IDS).sample, with_it) < 1e-5


def test_released_it_gives_the_same_in_less_memory_and_cannot_be_saved(small, tmp_path):
    network, sample = copy.deepcopy(small), normal(3, 2, 9, 16, 16)
    network_before, expected = small.num_parameters(), small.fuse()(sample, 741, IDS).sample
    fast = network.fuse(release=True)
    assert torch.equal(fast(sample, 741, IDS).sample, expected)
    assert torch.equal(fast(sample, 500, IDS.flip(0)).sample, small.fuse()(sample, 500, IDS.flip(0)).sample)
    left = sum(p.numel() for p in network.parameters() if p.device.type != "meta")
    assert left < 0.2 * network_before and fast.num_parameters() == network_before
    with pytest.raises(ValueError, match="weights were freed when the network was fused"):
        fast.save_pretrained(tmp_path)


def test_fusing_leaves_the_trained_network_alone(small):
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    small.fuse()(normal(3, 2, 9, 16, 16), 741, IDS)
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@torch.no_grad()
def test_doubling_as_four_small_convolutions():
    """Against nearest ×2 and the 3 × 3 convolution itself, borders included."""
    trained = blocks.Upsampler(6)
    x = normal(1, 2, 6, 5, 7)
    ours = fused_blocks.Upsampler(trained)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, trained(x, (10, 14)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_folding_a_batch_norm():
    conv, norm = nn.Conv2d(5, 8, 1, bias=False), nn.BatchNorm2d(8).eval()
    norm.running_mean.copy_(normal(1, 8))
    norm.running_var.copy_(normal(2, 8).abs() + 0.1)
    norm.weight.copy_(normal(3, 8))
    norm.bias.copy_(normal(4, 8))
    x = normal(5, 2, 5, 3, 3)
    ours = nn.functional.conv2d(x, *ops.fold_norm(conv.weight, norm))
    torch.testing.assert_close(ours, norm(conv(x)), rtol=1e-4, atol=1e-5)


def test_wrong_use_is_named(small):
    with pytest.raises(ValueError, match="divisible by 4, got .18, 16."):
        small.fuse()(normal(1, 2, 9, 18, 16), 1, IDS)
    with pytest.raises(ValueError, match=r"must be \(B, 9, h, w\)"):
        small.fuse()(normal(1, 2, 4, 16, 16), 1, IDS)
    small.train()
    try:
        with pytest.raises(ValueError, match="training mode"):
            small.fuse()
    finally:
        small.eval()


def test_on_a_gpu_every_operation_stays_there():
    """Shapes and devices alone, by torch's fake tensors: no GPU is needed, no operation may be a CPU's."""
    with FakeTensorMode(), torch.device("cuda"), torch.no_grad():
        network = MoebiusUNet(
            sample_size=16, block_out_channels=(32, 64, 128), cross_attention_dim=32, encoder_hid_dim=48
        )
        fast = network.eval().fuse()
        ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS]).repeat_interleave(2, dim=0)
        for timestep in (500, torch.tensor(500), torch.tensor([500, 20])):
            out = fast(torch.zeros(2, 9, 16, 16), timestep, ids).sample
            assert out.shape == (4, 4, 16, 16) and out.device.type == "cuda"


def test_conditions_changed_in_place_are_seen(small):
    network, sample, ids = small.fuse(), normal(7, 2, 9, 16, 16), IDS.clone()
    network(sample, 500, ids)
    ids.copy_(IDS.flip(0))
    assert relative_error(network(sample, 500, ids).sample, small(sample, 500, IDS.flip(0)).sample) < 1e-5
