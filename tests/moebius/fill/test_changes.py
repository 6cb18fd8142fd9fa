import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from moebius.fill.changes import Changes

PICTURES = {
    "RGB": lambda random: Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8)),
    "RGBA": lambda random: Image.fromarray(random.integers(0, 256, (40, 60, 4), np.uint8)),
    "L": lambda random: Image.fromarray(random.integers(0, 256, (40, 60), np.uint8)),
    "CMYK": lambda random: Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8)).convert("CMYK"),
    "16 bits": lambda random: random.integers(0, 2**16, (40, 60, 3), np.uint16),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_what_is_restored_is_the_photos_and_the_rest_stays_filled(kind, tmp_path):
    random = np.random.default_rng(0)
    photo, filled = PICTURES[kind](random), PICTURES[kind](random)
    hole, restored = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    hole[10:30, 15:45], restored[5:20, 10:25] = True, True
    before, after = np.array(photo), np.array(filled)
    if kind == "RGBA":
        after[..., 3] = before[..., 3]
    after[~hole] = before[~hole]
    filled = after if kind == "16 bits" else Image.fromarray(after, photo.mode)
    Changes.of(filled, hole).save(tmp_path / "kept")
    kept = Changes.load(tmp_path / "kept")
    assert kept.corner == (15, 10) and kept.size == (60, 40)

    out, changed = kept.on(photo, restored, 3)
    np.testing.assert_array_equal(changed, hole & ~restored)
    near = ndimage.distance_transform_edt(~restored) <= 3
    new = np.array(out)
    np.testing.assert_array_equal(new[restored | ~hole], before[restored | ~hole])
    np.testing.assert_array_equal(new[hole & ~near], after[hole & ~near])
    between = hole & near & ~restored
    low, high = np.minimum(before, after)[between].astype(int), np.maximum(before, after)[between].astype(int)
    if kind != "CMYK":  # which is mixed as RGB
        assert (new[between] >= low).all() and (new[between] <= high).all()
        assert (new[between] != before[between]).any() and (new[between] != after[between]).any()
    same, changed = kept.on(photo, np.ones((40, 60), bool), 3)
    np.testing.assert_array_equal(np.array(same), before)
    assert not changed.any()
    np.testing.assert_array_equal(np.array(kept.on(photo, np.zeros((40, 60), bool), 3)[0]), after)


def test_a_layer_over_the_photo_is_the_filled_photo():
    random = np.random.default_rng(0)
    photo, filled = random.integers(0, 256, (2, 40, 60, 3), np.uint8)
    hole = np.zeros((40, 60), bool)
    hole[10:30, 15:45], hole[12, 17] = True, False
    kept = Changes.of(Image.fromarray(filled), hole)
    layer = kept.layer()
    assert layer.shape == (20, 30, 4) and not layer[2, 2].any()
    over = Image.fromarray(photo).convert("RGBA")
    over.alpha_composite(Image.fromarray(layer), kept.corner)
    np.testing.assert_array_equal(np.asarray(over)[..., :3], np.where(hole[..., None], filled, photo))


def test_a_photo_of_another_size_is_refused():
    kept = Changes.of(Image.new("RGB", (60, 40)), np.ones((40, 60), bool))
    with pytest.raises(ValueError, match="60×40 pixels, not 40×60"):
        kept.on(Image.new("RGB", (40, 60)), np.zeros((60, 40), bool), 3)
    with pytest.raises(ValueError, match="empty"):
        Changes.of(Image.new("RGB", (60, 40)), np.zeros((40, 60), bool))
