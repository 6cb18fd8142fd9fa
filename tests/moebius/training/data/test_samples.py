"""Pictures found and refused, samples that belong to a number, latents as the pipeline makes them, the cache."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import heldout, masks
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS
from moebius.photo import images
from moebius.photo.raster import bounding_box
from moebius.training import networks
from moebius.training.config import ConfigError, Data, Source, Weights
from moebius.training.data import latents, pictures
from moebius.training.data import samples as data
from moebius.training.data.samples import Samples
from tests.helpers.deterministic import picture
from tests.helpers.tiny_training import autoencoder, photos


def background(folder, **changes) -> Data:
    source = Source(kind="pictures", path=folder, masks=("mat-small",))
    return Data(**{"sources": (source,), "size": 32, "validation": 0} | changes)


# ---- files ----


def test_files_are_found_in_depth_or_from_a_list(tmp_path):
    photos(tmp_path / "a" / "deep", 2)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    found = pictures.find(tmp_path / "a")
    assert [path.name for path in found] == ["photo00.png", "photo01.png"]
    (tmp_path / "list.txt").write_text("# two\na/deep/photo01.png\n\na/deep/photo00.png\n")
    assert pictures.find(tmp_path / "list.txt") == found[::-1]
    with pytest.raises(ConfigError, match="has no pictures"):
        pictures.find(photos(tmp_path / "empty", 0))
    with pytest.raises(ConfigError, match="neither a folder of pictures nor a list"):
        pictures.find(tmp_path / "nowhere")


def test_broken_files_are_reported_and_left_out(tmp_path):
    photos(tmp_path, 3)
    whole = (tmp_path / "photo01.png").read_bytes()
    (tmp_path / "photo01.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photo03.jpg").write_bytes(b"not a picture")
    samples = Samples(background(tmp_path), seed=0)
    assert len(samples) == 2
    assert {path.name for path, _ in samples.broken} == {"photo01.png", "photo03.jpg"}
    assert all(reason for _, reason in samples.broken)


def test_nothing_but_broken_files_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match="nothing is left to train on .*a.jpg"):
        Samples(background(tmp_path), seed=0)


def test_what_was_read_once_is_remembered_until_it_changes(tmp_path, monkeypatch):
    photos(tmp_path / "p", 2)
    known = tmp_path / "known.json"
    first = pictures.index(pictures.find(tmp_path / "p"), frozenset(), known)
    Image.fromarray(picture(9, 20)).save(tmp_path / "p" / "photo01.png")
    opened = []
    real = pictures.photo_file.open_photo
    monkeypatch.setattr(
        pictures.photo_file, "open_photo", lambda source, name: opened.append(name) or real(source, name)
    )
    second = pictures.index(pictures.find(tmp_path / "p"), frozenset(), known)
    assert opened == ["photo01.png"]
    assert second.pictures[0] == first.pictures[0]
    assert (second.pictures[1].width, second.pictures[1].height) == (20, 20)
    assert second.pictures[1].sha256 == sha256((tmp_path / "p" / "photo01.png").read_bytes()).hexdigest()


def test_the_held_out_set_is_refused_whatever_its_name_or_format(tmp_path):
    original = Path(__file__).parents[4] / "samples/heldout/images/coffee_00.jpg"
    photos(tmp_path / "copied", 1)
    (tmp_path / "copied" / "renamed.jpg").write_bytes(original.read_bytes())
    with pytest.raises(heldout.HeldOutError, match="renamed.jpg belongs to a held-out set"):
        Samples(background(tmp_path / "copied"), seed=0)
    photos(tmp_path / "recoded", 1)
    Image.fromarray(pictures.images.to_rgb8(Image.open(original))).save(tmp_path / "recoded" / "other.png")
    with pytest.raises(heldout.HeldOutError, match="other.png belongs to a held-out set"):
        Samples(background(tmp_path / "recoded"), seed=0)


def test_further_held_out_sets_are_refused(tmp_path):
    photos(tmp_path / "p", 2)
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text(f"file\tsum\nx\t{sha256((tmp_path / 'p' / 'photo01.png').read_bytes()).hexdigest()}\n")
    with pytest.raises(heldout.HeldOutError, match="photo01.png"):
        Samples(background(tmp_path / "p", heldout=(manifest,)), seed=0)
    manifest.write_text("nothing")
    with pytest.raises(ConfigError, match="has no SHA-256 sums"):
        Samples(background(tmp_path / "p", heldout=(manifest,)), seed=0)


# ---- samples ----


def same(a: data.Sample, b: data.Sample) -> bool:
    return np.array_equal(a.picture, b.picture) and np.array_equal(a.mask, b.mask)


def test_a_sample_depends_on_seed_and_position_alone(tmp_path):
    photos(tmp_path, 3)
    one, other, reseeded = (Samples(background(tmp_path), seed=seed) for seed in (4, 4, 5))
    other.sample(17)
    assert all(same(one.sample(position), other.sample(position)) for position in (0, 5, 31))
    assert not same(one.sample(0), one.sample(3))  # an epoch later: another crop, another hole
    assert any(not same(one.sample(position), reseeded.sample(position)) for position in range(3))


def test_every_epoch_takes_every_item_as_often_as_it_says(tmp_path):
    photos(tmp_path / "a", 2)
    photos(tmp_path / "b", 1, first=7)
    sources = tuple(
        Source(kind="pictures", path=tmp_path / name, masks=("mat-small",), repeat=n)
        for name, n in (("a", 1), ("b", 3))
    )
    samples = Samples(background(tmp_path, sources=sources), seed=1)
    for epoch in range(3):
        names = sorted(samples.origin(5 * epoch + place).path.name for place in range(5))
        assert names == ["photo00.png", "photo01.png", "photo07.png", "photo07.png", "photo07.png"]
    orders = [[samples.origin(5 * epoch + place).path.name for place in range(5)] for epoch in range(8)]
    assert len({tuple(order) for order in orders}) > 1


def test_pictures_set_apart_are_never_trained_on(tmp_path):
    photos(tmp_path, 5)
    samples = Samples(background(tmp_path, validation=2), seed=0)
    trained = {samples.origin(position).path for position in range(len(samples))}
    apart = {picture.path for picture in samples.validation.found}
    assert (len(trained), len(apart)) == (3, 2) and not trained & apart
    assert same(samples.held_back(1), Samples(background(tmp_path, validation=2), seed=9).held_back(1))
    with pytest.raises(ConfigError, match="sets 5 pictures apart, but only 5"):
        Samples(background(tmp_path, validation=5), seed=0)


def test_the_whole_picture_is_what_a_crop_of_all_of_it_gives(tmp_path):
    Image.fromarray(picture(3, 32)).save(tmp_path / "p.png")
    sample = Samples(background(tmp_path, crop=(1.0, 1.0), flip=False), seed=0).sample(0)
    np.testing.assert_array_equal(sample.picture, picture(3, 32))
    assert sample.mask.any() and not sample.mask.all() and sample.foreground is False


def test_crops_are_squares_of_the_asked_share_inside_the_picture():
    random = masks.random_of(1)
    for _ in range(200):
        x, y, side = data.square(random, (60, 100), 8, (0.5, 0.75))
        assert 30 <= side <= 45 and 0 <= x <= 100 - side and 0 <= y <= 60 - side
        x, y, side = data.square(random, (60, 100), 50, (0.5, 0.75))
        assert side == 50  # the picture has the pixels, so they are taken
        x, y, side = data.square(random, (60, 100), 8, (0.5, 0.75), around=(70, 10, 95, 40))
        assert x <= 70 and y <= 10 and x + side >= 95 and y + side >= 40


def test_an_objects_own_mask_is_the_hole_and_the_tokens_are_the_foreground(tmp_path):
    canvas, outline = picture(1, 64), np.zeros((64, 64), np.uint8)
    canvas[20:40, 30:50] = 255
    outline[20:40, 30:50] = 255
    for folder, array in (("pictures", canvas), ("masks", outline)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "thing.png")
    source = Source(kind="objects", path=tmp_path / "pictures", object_masks=tmp_path / "masks")
    samples = Samples(Data(sources=(source,), size=32, validation=0), seed=2)
    for position in range(6):
        sample = samples.sample(position)
        assert sample.foreground is True
        inside = sample.picture[sample.mask].mean()
        assert inside > 225  # white but for the edge: picture and mask were cut and turned together
        assert 0.05 < sample.mask.mean() < 0.5
    ids = latents.tokens([True, False], torch.device("cpu"))
    assert ids.tolist() == [list(range(10, 20)), list(range(10))] == [list(FOREGROUND_IDS), list(BACKGROUND_IDS)]
    (tmp_path / "masks" / "thing.png").unlink()
    with pytest.raises(ConfigError, match="has no mask"):
        Samples(Data(sources=(source,), size=32, validation=0), seed=2)


def test_outlines_become_holes_of_their_shape(tmp_path):
    photos(tmp_path / "p", 1)
    (tmp_path / "s").mkdir()
    bar = np.zeros((40, 40), np.uint8)
    bar[5:35, 10:20] = 255  # three times as high as wide
    Image.fromarray(bar).save(tmp_path / "s" / "bar.png")
    source = Source(kind="pictures", path=tmp_path / "p", masks=("shapes",), shapes=tmp_path / "s")
    samples = Samples(Data(sources=(source,), size=96, validation=0), seed=0)
    sizes = set()
    for position in range(8):
        left, top, right, bottom = bounding_box(samples.sample(position).mask)
        assert (bottom - top) / (right - left) == pytest.approx(3, rel=0.25)
        assert 0.1 * 96 <= bottom - top <= 0.65 * 96
        sizes.add(bottom - top)
    assert len(sizes) > 3


def test_work_ahead_keeps_its_order_and_passes_errors_on():
    groups = [[1, 2], [3], [4, 5, 6]]
    assert list(data.ahead(lambda n: n * n, iter(groups), workers=2)) == [[1, 4], [9], [16, 25, 36]]

    def picky(n):
        if n == 3:
            raise ValueError("three")
        return n

    feed = data.ahead(picky, iter(groups), workers=2)
    assert next(feed) == [1, 2]
    with pytest.raises(ValueError, match="three"):
        next(feed)


# ---- latents ----


@pytest.fixture
def encoder(tmp_path):
    return latents.Encoder(networks.autoencoder(Weights(weights=autoencoder(tmp_path / "vae"))), torch.device("cpu"), 2)


def test_latents_are_those_of_picture_and_grey_holed_picture(tmp_path, encoder):
    photos(tmp_path / "p", 3)
    samples = [Samples(background(tmp_path / "p"), seed=0).sample(number) for number in range(3)]
    batch = encoder(samples)
    vae, scale = encoder.vae, encoder.vae.config.scaling_factor
    for row, sample in enumerate(samples):
        pixels = torch.from_numpy(sample.picture).permute(2, 0, 1)[None] / 127.5 - 1
        holed = pixels * torch.from_numpy(~sample.mask)
        for column, source in enumerate((pixels, holed)):
            posterior = vae.encode(source).latent_dist
            torch.testing.assert_close(batch.mean[row, column], posterior.mean[0] * scale, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(batch.std[row, column], posterior.std[0] * scale, rtol=1e-4, atol=1e-6)
        assert torch.equal(batch.hole[row, 0], torch.from_numpy(sample.mask[::8, ::8]).float())
    clean, masked = batch.latents(torch.ones_like(batch.mean))
    torch.testing.assert_close(clean, batch.mean[:, 0] + batch.std[:, 0])
    torch.testing.assert_close(masked, batch.mean[:, 1] + batch.std[:, 1])


def test_the_cache_holds_the_latents_and_goes_on_where_it_stopped(tmp_path, encoder):
    photos(tmp_path / "p", 3)
    config = background(tmp_path / "p", cache=tmp_path / "cache", cache_variants=2, shard_size=4)
    samples = Samples(config, seed=0)
    latents.build_cache(samples, encoder, config)
    shards = sorted(path.name for path in (tmp_path / "cache").glob("*.safetensors"))
    assert shards == ["latents-00000.safetensors", "latents-00001.safetensors"]  # six samples, four a shard
    cached = latents.Cached(tmp_path / "cache", 0, torch.device("cpu"))
    direct = encoder([samples.drawn(row // 2, f"cache:{row}") for row in range(6)])
    for epoch in range(2):
        batch = cached.collate([cached.prepare(6 * epoch + place) for place in range(6)])
        order = data.shuffled(0, epoch, 6)
        assert sorted(order) == list(range(6))
        torch.testing.assert_close(batch.mean, direct.mean[order], rtol=2e-3, atol=2e-3)  # half precision
        assert torch.equal(batch.hole, direct.hole[order]) and torch.equal(batch.token_ids, direct.token_ids[order])

    kept = (tmp_path / "cache" / shards[0]).stat().st_mtime_ns
    before = (tmp_path / "cache" / shards[1]).read_bytes()
    (tmp_path / "cache" / shards[1]).unlink()
    latents.build_cache(samples, encoder, config)
    assert (tmp_path / "cache" / shards[0]).stat().st_mtime_ns == kept
    assert (tmp_path / "cache" / shards[1]).read_bytes() == before


def test_two_processes_share_the_shards(tmp_path, encoder):
    photos(tmp_path / "p", 3)
    config = background(tmp_path / "p", cache=tmp_path / "cache", cache_variants=1, shard_size=1)
    samples = Samples(config, seed=0)
    latents.build_cache(samples, encoder, config, rank=0, processes=2)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2
    latents.build_cache(samples, encoder, config, rank=1, processes=2)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 3


def test_a_cache_of_other_data_is_refused(tmp_path, encoder):
    photos(tmp_path / "p", 2)
    config = background(tmp_path / "p", cache=tmp_path / "cache", cache_variants=1)
    latents.build_cache(Samples(config, seed=0), encoder, config)
    with pytest.raises(ConfigError, match="another seed"):
        latents.build_cache(Samples(config, seed=1), encoder, config)
    with torch.no_grad():
        encoder.vae.quant_conv.bias += 1
    with pytest.raises(ConfigError, match="another autoencoder"):
        latents.build_cache(Samples(config, seed=0), encoder, config)


def test_readers_shrink_and_keep_what_there_is_room_for(tmp_path):
    Image.fromarray(picture(1, 100)).save(tmp_path / "large.png")
    Image.fromarray(picture(2, 30)).save(tmp_path / "small.png")
    read = pictures.Reader(50, gib=8000 / 2**30)  # 50·50·3 = 7500 bytes fit, 30·30·3 more do not
    assert read(tmp_path / "large.png").shape == (50, 50, 3)
    np.testing.assert_array_equal(read(tmp_path / "small.png"), picture(2, 30))
    assert list(read.kept) == [tmp_path / "large.png"]
    assert images.to_rgb8(Image.open(tmp_path / "large.png")).shape == (100, 100, 3)
