"""A step compiled for fixed shapes: the same numbers, and nothing compiled twice. The backends only trace."""

import pytest
import torch
from torch._dynamo.utils import counters

from moebius.models.fused.graphs import Graphs
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet
from moebius.pipeline import make_scheduler
from tests.helpers.deterministic import fill_, normal

IDS = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS])


@pytest.fixture(scope="module")
def small() -> MoebiusUNet:
    network = MoebiusUNet(
        sample_size=8, block_out_channels=(32,), layers_per_block=1, cross_attention_dim=32, encoder_hid_dim=48
    )
    return fill_(network).eval()


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
def test_pictures_steps_and_seeds_share_one_graph(small):
    plain, compiled = small.fuse(), small.fuse()
    compiled.compile_graphs("aot_eager")
    for seed in range(3):
        sample = normal(seed, 1, 9, 8, 8)
        for timestep in make_scheduler().timesteps[::250]:
            ours, right = compiled(sample, timestep, IDS.clone()).sample, plain(sample, timestep, IDS).sample
            torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)  # other products than oneDNN's
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]
    compiled(normal(9, 1, 9, 8, 8), 3, IDS[1:])  # a step without guidance is another shape
    compiled(normal(9, 1, 9, 8, 8), 7, IDS[:1])
    compiled(normal(9, 2, 9, 8, 8), 7, IDS.repeat_interleave(2, dim=0))
    assert counters["stats"]["unique_graphs"] == 3 and not counters["graph_break"]


def test_more_shapes_than_torch_allows_by_itself():
    graphs = Graphs(lambda x, time, constants: (x * time, ()), torch.device("cpu"), "eager")
    for width in range(1, 13):
        x = normal(width, 1, width)
        torch.testing.assert_close(graphs(x, torch.tensor(2.0), []), 2 * x)
    assert counters["stats"]["unique_graphs"] == 12


def test_an_unknown_backend_is_named(small):
    with pytest.raises(torch._dynamo.exc.InvalidBackend, match="nothing"):
        small.fuse().compile_graphs("nothing")


@pytest.mark.gpu
def test_cuda_graphs_give_the_same_for_every_picture(small):
    network = small.cuda()
    plain, compiled = network.fuse(), network.fuse()
    compiled.compile_graphs()
    ids, held = IDS.cuda(), []
    for seed in range(4):
        sample = normal(seed, 1, 9, 8, 8).cuda()
        held.append((compiled(sample, 100 * seed, ids).sample, plain(sample, 100 * seed, ids).sample))
    for ours, right in held:  # an earlier result is not written over
        torch.testing.assert_close(ours, right, rtol=1e-3, atol=1e-4)
    assert counters["stats"]["unique_graphs"] == 1
