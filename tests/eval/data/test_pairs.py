"""Pairs are found by name, what is missing is named; the effect region; careless masks; what is judged."""

import numpy as np
import pytest
from PIL import Image

from eval.data import careless
from eval.data.dataset import Request, scan
from eval.data.pairs import effect_region, find
from tests.helpers.synthetic import picture


def square(side: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[low:high, low:high] = True
    return mask


@pytest.fixture
def folder(tmp_path):
    """Two pairs of 96×96 by another program's names: a red square with a shadow to its right."""
    for name in ("img", "gt", "mask"):
        (tmp_path / name).mkdir()
    for index in range(2):
        truth = picture(index, 96) // 2 + 100
        seen = truth.copy()
        seen[30:60, 60:70] //= 2
        seen[30:60, 30:60] = (255, 0, 0)
        Image.fromarray(seen).save(tmp_path / "img" / f"{index}.png")
        Image.fromarray(truth).save(tmp_path / "gt" / f"{index}.png")
        Image.fromarray(square(96, 30, 60)).save(tmp_path / "mask" / f"{index}_mask.png")
    return tmp_path


def request(folder, masks=None, limit=None) -> Request:
    return Request(data="pairs", folder=str(folder), masks=masks, limit=limit)


def test_a_pair_is_filled_with_the_object_and_judged_by_the_photo_without(folder):
    dataset = scan(request(folder), quiet=True)
    assert [sample.id for sample in dataset.samples] == ["0", "1"] and dataset.describe()["pairs"] == "pairs"
    seen, hole = dataset.load(dataset.samples[0])
    judged = dataset.judged(dataset.samples[0])
    assert (seen[40, 40] == (255, 0, 0)).all() and hole.sum() == 900
    with Image.open(folder / "gt" / "0.png") as truth:
        np.testing.assert_array_equal(judged.truth, np.asarray(truth))
    np.testing.assert_array_equal(judged.picture, seen)
    np.testing.assert_array_equal(judged.region, hole)
    assert judged.effect[35:55, 64:68].all() and judged.effect.sum() < 30 * 12


def test_careless_masks_give_a_sample_of_each_kind(folder):
    dataset = scan(request(folder, "careless", limit=1), quiet=True)
    assert [sample.mask_kind for sample in dataset.samples] == list(careless.KINDS)
    assert {sample.id.partition(".")[0] for sample in dataset.samples} == {"0"}
    one = next(sample for sample in dataset.samples if sample.mask_kind == "half")
    assert dataset.judged(one).region[45, 55] and not dataset.load(one)[1][45, 55], "the object is judged all the same"
    only = scan(request(folder, "careless:tight"), quiet=True)
    assert [sample.id for sample in only.samples] == ["0.tight", "1.tight"]


def test_another_truth_is_another_data_set_and_is_noticed_in_the_cache(folder, tmp_path):
    cache = tmp_path / "cache.json"
    before = scan(request(folder), cache, quiet=True)
    assert scan(request(folder), cache, quiet=True) == before
    Image.fromarray(picture(7, 96)).save(folder / "gt" / "0.png")
    assert scan(request(folder), cache, quiet=True).identity() != before.identity()


def test_what_is_missing_is_named(folder):
    (folder / "gt" / "1.png").unlink()
    with pytest.raises(ValueError, match="gt has no picture named 1, which .*img has"):
        scan(request(folder), quiet=True)
    Image.new("RGB", (90, 96)).save(folder / "gt" / "1.png")
    dataset = scan(request(folder), quiet=True)
    assert [problem["reason"] for problem in dataset.problems] == ["1.png is 96×96 but its truth is 90×96"]
    with pytest.raises(ValueError, match="has no folder with or input or img"):
        find(folder / "img", (".png",))
    for wrong, message in (
        (Request(data="corne-val"), "needs --folder DIR with its pairs; get them: OSOR"),
        (request(folder, "lama-thick"), "is not for pairs"),
        (Request(data="pairs", folder=str(folder), size=64), "--size would scale"),
    ):
        with pytest.raises(ValueError, match=message):
            scan(wrong, quiet=True)


def test_noise_is_no_effect_and_a_shadow_is():
    truth = np.full((80, 80, 3), 120, np.uint8)
    random = np.random.default_rng(0)
    noisy = np.clip(truth + random.normal(0, 3, truth.shape), 0, 255).astype(np.uint8)
    none = np.zeros((80, 80), bool)
    assert not effect_region(noisy, truth, none).any()
    noisy[50:70, 20:60] -= 30
    found = effect_region(noisy, truth, square(80, 10, 50))
    assert found[54:68, 24:56].all() and not found[:48].any()


def test_careless_masks_are_what_they_say():
    whole, effect = square(200, 60, 140), np.zeros((200, 200), bool)
    effect[100:140, 140:170] = True
    made = {kind: careless.make(kind, whole, effect) for kind in careless.KINDS}
    np.testing.assert_array_equal(made["exact"], whole | effect)
    np.testing.assert_array_equal(made["no-shadow"], whole)
    smaller, larger, largest = (made[kind] for kind in ("tight", "loose-5", "loose-15"))
    for inner, outer in ((smaller, made["exact"]), (made["exact"], larger), (larger, largest)):
        assert not (inner & ~outer).any() and inner.sum() < outer.sum()
    assert np.flatnonzero(smaller[100])[0] == 60 + 3 and np.flatnonzero(larger[100])[0] == 60 - 4  # of 80 pixels
    assert np.flatnonzero(largest[100])[0] == 60 - 12
    assert (made["half"] & whole).sum() == pytest.approx(whole.sum() / 2, rel=0.05)
    assert not made["half"][:, 101:].any()
    stroke = made["scribble"]
    assert stroke[100, 100] and stroke.sum() == pytest.approx(80 * 10, rel=0.35) and (stroke & whole).any()
    assert not careless.make("loose-15", ~square(200, 99, 101), effect).all(), "some of the photo stays known"
