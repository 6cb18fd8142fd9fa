"""Composed pairs: the same arguments give the same files; a pair differs where object, shadow and reflection are."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from eval.compose.objects import CREDITS, SHIPPED_OBJECTS, read_objects
from eval.compose.run import Recipe, make_pairs
from eval.compose.scene import SHARE, Scene, compose, draw, shadow
from eval.data import heldout
from eval.data.pairs import effect_region, find
from moebius.files import read_json
from moebius.masks import random_of
from tests.helpers.synthetic import picture

UPRIGHT = Scene(
    left=80, top=40, width=40, height=100, mirrored=False, lean=0.0, length=0.5, behind=False, darkness=0.5,
    softness=0.001, reflection=0.0,
)  # fmt: skip


@pytest.fixture
def sources(tmp_path):
    """A folder of photos and one of objects: one cut out, one outline."""
    photos, objects = tmp_path / "photos", tmp_path / "objects"
    photos.mkdir(), objects.mkdir()
    for index in range(3):
        Image.fromarray(picture(index, 256)).save(photos / f"p{index}.png")
    rgba = np.zeros((90, 60, 4), np.uint8)
    rgba[10:80, 10:50] = (200, 30, 90, 255)
    Image.fromarray(rgba).save(objects / "cut.png")
    outline = np.zeros((64, 64), bool)
    outline[8:56, 16:48] = True
    Image.fromarray(outline).save(objects / "outline.png")
    (objects / CREDITS).write_text("file\tauthor\tlicence\tsource\ncut.png\tme\tCC0-1.0\there\n")
    return photos, objects


def test_the_same_arguments_give_the_same_files_also_after_an_interruption(sources, tmp_path):
    recipe = Recipe(count=6, photos=sources[0], objects=sources[1], megapixels=0.05)
    folders = tmp_path / "one", tmp_path / "other"
    manifests = [make_pairs(recipe, folder, quiet=True) for folder in folders]
    assert manifests[0] == manifests[1] == read_json(folders[0] / "manifest.json")
    files = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*.*"))
    assert len(files) == 6 * 3 + 2
    for name in ("with/0002.png", "masks/0002.png", "without/0004.jpg", "manifest.json"):
        (folders[1] / name).unlink()
    make_pairs(recipe, folders[1], quiet=True)
    for name in files:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    with pytest.raises(ValueError, match="another configuration"):
        make_pairs(dataclasses.replace(recipe, seed=1), folders[0], quiet=True)
    rows = manifests[0]["pairs"]
    assert {row["group"] for row in rows} == {"p0", "p1", "p2"}
    assert {row["object"]["name"] for row in rows} == {"cut", "outline"}
    for row in rows:
        cut = row["object"]["name"] == "cut"
        assert (row["object"].get("licence") == "CC0-1.0") == cut == ("colours" not in row["object"])
    for pair in find(folders[0], (".png", ".jpg")):
        with Image.open(pair.picture) as seen, Image.open(pair.truth) as truth, Image.open(pair.mask) as mask:
            assert seen.size == truth.size == mask.size == (224, 224)  # 0.05 megapixels
            share = np.asarray(mask).mean()
            assert 0.5 * SHARE[0] < share < 1.1 * SHARE[1]


def test_a_pair_differs_at_the_object_and_its_effect_only():
    truth = picture(3, 256)
    rgba = np.full((100, 40, 4), 255, np.uint8)
    seen, mask = compose(truth, rgba, UPRIGHT)
    assert mask.sum() == 40 * 100 and mask[40:140, 80:120].all()
    np.testing.assert_array_equal(seen[mask], 255)
    effect = effect_region(seen, truth, mask)
    # half as long as the object, straight down from its foot, where the truth is not black anyway
    assert effect[145:175, 85:115].mean() > 0.9 and not effect[:138].any() and not effect[192:].any()
    untouched = np.ones_like(mask)
    untouched[38:200, 70:130] = False
    np.testing.assert_array_equal(seen[untouched], truth[untouched])


def test_a_shadow_leans_as_far_as_it_is_told():
    """The tip of a pole 100 pixels high, length ½, lean 1: 50 pixels down and 50 to the right."""
    pole = np.zeros((300, 300), np.float32)
    pole[40:140, 100:104] = 1
    down = shadow(pole, dataclasses.replace(UPRIGHT, lean=1.0))
    up = shadow(pole, dataclasses.replace(UPRIGHT, lean=-1.0, behind=True))
    for cast, row in ((down, 139 + 45), (up, 139 - 45)):
        columns = np.flatnonzero(cast[row] > 0.1)
        centre = 101.5 + (45 if cast is down else -45)
        assert abs(columns.mean() - centre) <= 2
    assert down[150].max() > down[180].max() > 0, "lighter away from the foot"


def test_a_reflection_is_mirrored_below_the_foot_and_fades():
    truth = np.zeros((256, 256, 3), np.uint8)
    rgba = np.full((100, 40, 4), 255, np.uint8)
    rgba[:50, :, :3] = (0, 255, 0)  # upper half
    scene = dataclasses.replace(UPRIGHT, darkness=0.0, reflection=0.4)
    seen, _ = compose(truth, rgba, scene)
    assert seen[141, 100].tolist() == pytest.approx([100, 100, 100], abs=3)
    assert seen[141, 100, 0] > seen[170, 100, 0] > 0 and seen[205, 100].sum() == 0


def test_scenes_keep_their_object_inside():
    rgba = np.full((30, 200, 4), 255, np.uint8)
    random = random_of(5)
    for _ in range(50):
        scene = draw(random, (300, 400), rgba)
        assert 0 < scene.left and scene.left + scene.width < 400 and 0 < scene.top and scene.top + scene.height < 300


def test_what_is_no_object_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no objects"):
        read_objects(tmp_path / "nowhere")
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    with pytest.raises(ValueError, match="opaque.png is no object: all of it is opaque"):
        read_objects(tmp_path)
    (tmp_path / "opaque.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="opaque.png is no object"):
        read_objects(tmp_path)


def test_shipped_objects_have_credits_and_stay_small():
    found = read_objects(SHIPPED_OBJECTS)
    assert len(found) == 8 and not any(one.is_outline for one in found)
    free = {"CC0-1.0", "CC-BY-2.0", "CC-BY-4.0", "BSD-2-Clause"}
    assert all(one.credit["author"] and one.credit["source"] and one.credit["licence"] in free for one in found)
    assert sum(path.stat().st_size for path in SHIPPED_OBJECTS.iterdir()) < 300_000
    assert Recipe().photos == heldout.SHIPPED_SET
