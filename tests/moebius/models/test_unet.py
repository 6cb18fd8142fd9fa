"""The student against vectors computed with the published network (arXiv:2606.19195)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet
from moebius.weights.load import convert_student
from tests.helpers.deterministic import normal, values

DATA = Path(__file__).parents[2] / "data"
VECTORS = np.load(DATA / "moebius_unet.npz")
IDS = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])
SMALL = dict(block_out_channels=(32, 64, 128), cross_attention_dim=32, encoder_hid_dim=48)


def load(keys: str, **config) -> MoebiusUNet:
    shapes = json.loads((DATA / keys).read_text())
    state = {key: torch.as_tensor(values(key, tuple(shape))) for key, shape in shapes.items()}
    with torch.device("meta"):
        network = MoebiusUNet(**config)
    network.load_state_dict(convert_student(state), strict=True, assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def small() -> MoebiusUNet:
    return load("moebius_small_state_dict.json", sample_size=16, **SMALL)


@pytest.fixture(scope="module")
def full() -> MoebiusUNet:
    return load("moebius_state_dict.json")


def relative_error(ours: torch.Tensor, reference: np.ndarray) -> float:
    return float(np.linalg.norm(ours.numpy() - reference) / np.linalg.norm(reference))


@torch.no_grad()
def test_small_network_gives_the_published_outputs_of_every_stage(small):
    out = small(normal(3, 2, 9, 16, 16), 741, IDS)
    assert relative_error(out.sample, VECTORS["small_t741"]) < 1e-5
    assert len(out.block_outputs) == 6
    for index, block in enumerate(out.block_outputs):
        assert relative_error(block, VECTORS[f"small_t741_block{index}"]) < 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_full_network_gives_the_published_outputs(full):
    assert sum(p.numel() for p in full.parameters()) == 226_041_531
    # One of each pair: the other costs seconds, and that samples of a batch are computed alone is another test's.
    first = full(normal(1, 2, 9, 64, 64)[:1], 500, IDS[:1]).sample
    assert relative_error(first, VECTORS["full_t500"][:1]) < 1e-5
    out = full(normal(2, 2, 9, 64, 64)[1:], torch.tensor([21]), IDS[1:], return_dict=False)
    assert relative_error(out[0], VECTORS["full_t981_t21"][1:]) < 1e-5
    assert [tuple(block.shape[1:]) for block in out[1]] == [
        (320, 32, 32),
        (640, 16, 16),
        (1280, 16, 16),
        (1280, 32, 32),
        (640, 64, 64),
        (320, 64, 64),
    ]


@torch.no_grad()
def test_each_sample_of_a_batch_is_computed_alone(small):
    sample, times = normal(3, 3, 9, 16, 16), torch.tensor([10, 500, 990])
    ids = torch.tensor([BACKGROUND_IDS, FOREGROUND_IDS, BACKGROUND_IDS])
    together = small(sample, times, ids).sample
    for i in range(3):
        alone = small(sample[i : i + 1], times[i], ids[i : i + 1]).sample
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same_network(small, tmp_path):
    small.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["diffusion_pytorch_model.safetensors"]
    again = MoebiusUNet.from_pretrained(tmp_path)
    assert again.config.block_out_channels == [32, 64, 128] and not again.training
    sample = normal(3, 2, 9, 16, 16)
    torch.testing.assert_close(again(sample, 741, IDS).sample, small(sample, 741, IDS).sample, rtol=0, atol=0)


@torch.no_grad()
def test_other_grids_interpolate_the_position_tables(small):
    layer = small.down_blocks[0].attentions[0].block.interactive_lambda
    exact = layer.position_table(16, 16)
    assert exact.data_ptr() == layer.rel_pos_emb.data_ptr()
    assert small(normal(3, 2, 9, 24, 32), 741, IDS).sample.shape == (2, 4, 24, 32)
    # doubling a grid bilinearly and averaging 2 × 2 gives the same table in its inside for a linear ramp
    ramp = torch.arange(16.0)[:, None].expand(16, 16).reshape(256, 1, 1, 1)
    layer.rel_pos_emb.data, kept = ramp.expand_as(layer.rel_pos_emb).clone(), layer.rel_pos_emb.data
    doubled = layer.position_table(32, 32).view(32, 32, *exact.shape[1:])
    layer.rel_pos_emb.data = kept
    torch.testing.assert_close(doubled[1:-1, 0, 0, 0], torch.arange(0.25, 15.0, 0.5))


def test_odd_grids_come_back_at_their_size(small):
    with torch.no_grad():
        assert small(normal(3, 2, 9, 17, 19), 741, IDS).sample.shape == (2, 4, 17, 19)


def test_gradient_checkpointing_changes_nothing_but_memory():
    def gradients(checkpointing: bool) -> tuple[torch.Tensor, dict, dict]:
        network = load("moebius_small_state_dict.json", sample_size=16, **SMALL).train()
        if checkpointing:
            network.enable_gradient_checkpointing()
        loss = network(normal(3, 2, 9, 16, 16), 741, IDS).sample.square().mean()
        loss.backward()
        return loss.detach(), {n: p.grad for n, p in network.named_parameters()}, dict(network.named_buffers())

    plain, checkpointed = gradients(False), gradients(True)
    torch.testing.assert_close(plain[0], checkpointed[0])
    assert all(gradient is not None for gradient in plain[1].values())
    for plain_part, checkpointed_part in zip(plain[1:], checkpointed[1:], strict=True):
        for name in plain_part:  # gradients, then running statistics: counted once, not again on the way back
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(plain_part[name], checkpointed_part[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net(torch.zeros(1, 4, 16, 16), 1, IDS[:1]), r"must be \(B, 9, h, w\), got shape \(1, 4, 16, 16\)"),
        (lambda net: net(torch.zeros(1, 9, 16, 16), 1, IDS), r"must be \(1, 10\) .* got shape \(2, 10\)"),
        (lambda net: MoebiusUNet(block_out_channels=(40, 64)), "norm_num_groups .32., got 40"),
        (lambda net: MoebiusUNet(local_window=4), "must be odd, got 4"),
        (lambda net: MoebiusUNet(sample_size=6, block_out_channels=(32, 64, 128)), "divisible by 4, got 6"),
    ],
)
def test_wrong_input_is_named(small, call, message):
    with pytest.raises(ValueError, match=message):
        call(small)
