"""Crops cut on the device against crops cut one by one, and samples that belong to their number."""

import numpy as np
import pytest
import torch
from PIL import Image

from moebius.training import networks
from moebius.training.config import ConfigError, Data, Source, Weights
from moebius.training.data.gpu_dataset import GpuDataset
from moebius.training.data.latents import Encoder
from moebius.training.data.samples import Samples
from tests.helpers.deterministic import picture
from tests.helpers.tiny_training import autoencoder, photos

CPU = torch.device("cpu")


def made(folder, size=32, seed=0, encoder=None, **changes) -> GpuDataset:
    source = Source(kind="pictures", path=folder, masks=("mat-small", "object"))
    config = Data(**{"sources": (source,), "size": size, "validation": 0, "on_device": True, "holes": 6} | changes)
    return GpuDataset(Samples(config, seed), config, CPU, 2, encoder)


def test_a_crop_at_the_pictures_own_scale_is_its_pixels(tmp_path):
    rgb = np.random.RandomState(0).randint(0, 256, (32, 50, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    pictures = made(tmp_path, crop=(1.0, 1.0)).pictures(list(range(40)))
    assert pictures.shape == (40, 3, 32, 32)
    places = {(x, flip): rgb[:, x : x + 32][:, :: -1 if flip else 1] for x in range(19) for flip in (False, True)}
    seen = set()
    for crop in ((pictures + 1) * 127.5).permute(0, 2, 3, 1).numpy():
        found = [place for place, pixels in places.items() if np.abs(crop - pixels).max() < 1e-3]
        assert len(found) == 1
        seen.update(found)
    assert len({x for x, _ in seen}) > 8 and {flip for _, flip in seen} == {False, True}


@pytest.mark.parametrize("side", [24, 44, 61, 64, 90])
def test_a_scaled_crop_of_a_ramp_is_the_ramp(tmp_path, side):
    """A picture that rises evenly is known between its pixels: below, at and above the size from which it is halved."""
    y, x = np.mgrid[:96, :96]
    rgb = np.stack([2 * x + 20, 2 * y + 20, x + y + 20], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    cutter = made(tmp_path, crop=(0.3, 1.0))
    ones = torch.ones(1)
    # side = 96 (0.3 + 0.7 share), at the left upper corner plus 3 and 5
    share = ((side / 96 - 0.3) / 0.7) * ones
    room = 96 - max(side, 32) + 1
    crop = cutter._crops(torch.tensor([0]), share, 3.5 / room * ones, 5.5 / room * ones, ones < 0)
    scale = max(side, 32) / 32
    centre = (torch.arange(32) + 0.5) * scale - 0.5
    across, down = 2 * (3 + centre) + 20, 2 * (5 + centre) + 20
    inside = slice(1, -1)  # the border's pixels have no neighbours to lie between
    got = ((crop[0] + 1) * 127.5)[:, inside, inside]
    assert (got[0] - across[None, inside]).abs().max() < 0.8  # halving rounds to whole numbers
    assert (got[1] - down[inside, None]).abs().max() < 0.8


def test_crops_are_those_of_the_threads_in_size_and_place(tmp_path):
    """The same distribution: means over many crops of both ways agree within their error."""
    photos(tmp_path, 3, size=80)
    cutter = made(tmp_path, crop=(0.4, 1.0))
    samples = Samples(cutter.config, seed=1)
    ours = (cutter.pictures(list(range(600))) + 1) * 127.5
    theirs = torch.from_numpy(np.stack([samples.sample(i).picture for i in range(600)])).permute(0, 3, 1, 2).float()
    for statistic in (
        lambda x: x.mean(dim=(2, 3)),
        lambda x: x.std(dim=(2, 3)),
        lambda x: x.diff(dim=3).abs().mean((2, 3)),
    ):
        a, b = statistic(ours), statistic(theirs)
        error = (a.var(dim=0) / len(a) + b.var(dim=0) / len(b)).sqrt()
        assert ((a.mean(dim=0) - b.mean(dim=0)).abs() < 4 * error).all()


def test_a_sample_belongs_to_its_number(tmp_path):
    photos(tmp_path, 5)
    cutter = made(tmp_path)
    pictures, holes = cutter.cut(list(range(20)))
    some = cutter.cut([3, 17, 4])
    assert torch.equal(some[0], pictures[[3, 17, 4]]) and torch.equal(some[1], holes[[3, 17, 4]])
    again, other = made(tmp_path).cut([3]), made(tmp_path, seed=1).cut([3])
    assert torch.equal(again[0], some[0][:1]) and not torch.equal(other[0], some[0][:1])
    first = [cutter._item(position) for position in range(5)]
    assert sorted(first) == list(range(5))  # each picture once an epoch


def test_holes_are_the_stocks_in_eight_ways(tmp_path):
    photos(tmp_path, 2)
    cutter = made(tmp_path)
    stock = cutter.holes.numpy()
    assert stock.any(axis=(1, 2)).all() and not stock.all(axis=(1, 2)).any()
    ways = {}
    for number, hole in enumerate(stock):
        for turn in range(4):
            for mirrored in (hole, hole.T):
                ways.setdefault(np.rot90(mirrored, turn).tobytes(), set()).add(number)
    _, holes = cutter.cut(list(range(300)))
    kinds = {hole.tobytes() for hole in holes[:, 0].bool().numpy()}
    assert kinds <= set(ways)
    assert len(kinds) > 0.9 * len(ways)  # all of them come up


def test_its_latents_are_those_of_its_pictures(tmp_path):
    photos(tmp_path / "p", 3)
    encoder = Encoder(networks.autoencoder(Weights(weights=autoencoder(tmp_path / "vae"))), CPU, part=2)
    cutter = made(tmp_path / "p", encoder=encoder)
    batch = cutter.collate([0, 1, 2])
    pictures, holes = cutter.cut([0, 1, 2])
    vae = encoder.vae
    with torch.no_grad():
        whole = vae.encode(pictures).latent_dist.mean * vae.config.scaling_factor
        masked = vae.encode(pictures * (1 - holes)).latent_dist.mean * vae.config.scaling_factor
    torch.testing.assert_close(batch.mean, torch.stack([whole, masked], dim=1), atol=1e-4, rtol=1e-4)
    assert torch.equal(batch.hole, holes[:, :, ::8, ::8])
    assert torch.equal(batch.token_ids, torch.arange(10).expand(3, 10))


def test_pictures_set_apart_are_not_among_them(tmp_path):
    photos(tmp_path, 4)
    cutter = made(tmp_path, validation=1)
    assert len(cutter.items) == 3 and len(cutter.starts) == 3


def test_other_sources_and_a_cache_are_refused(tmp_path):
    photos(tmp_path / "p", 3)
    for number in range(3):
        Image.fromarray((picture(number, 48)[..., 0] > 100).astype(np.uint8) * 255).save(
            tmp_path / f"photo{number:02d}.png"
        )
    source = Source(kind="objects", path=tmp_path / "p", object_masks=tmp_path)
    config = Data(sources=(source,), size=32, validation=0, on_device=True)
    with pytest.raises(ConfigError, match="kind 'pictures' only"):
        GpuDataset(Samples(config, 0), config, CPU, 1)
    with pytest.raises(ValueError, match="exclude each other"):
        made(tmp_path / "p", cache=tmp_path / "cache")


def test_the_halved_level_is_used_from_where_it_is_said(tmp_path):
    """A checkerboard of single pixels is grey at half its size, and stays itself below."""
    board = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(np.repeat(board[..., None], 3, axis=2)).save(tmp_path / "a.png")
    cutter = made(tmp_path, crop=(0.3, 1.0))
    zero = torch.zeros(1)
    whole = cutter._crops(torch.tensor([0]), zero + 1.0, zero, zero, zero > 1)
    assert whole.abs().max() < 0.05
    close = cutter._crops(torch.tensor([0]), zero, zero, zero, zero > 1)  # 32 of 96 pixels: as they are
    assert set(close.unique().tolist()) == {-1.0, 1.0}
