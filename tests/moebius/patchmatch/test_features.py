import numpy as np

from moebius.patchmatch import features


def test_gradients_of_a_slope():
    y, x = np.indices((9, 9))
    across, down = features.gradients((3 * x + 5 * y).astype(np.uint8), 0.5)
    assert (across[1:-1, 1:-1] == 128 + 3).all() and (down[1:-1, 1:-1] == 128 + 5).all()


def test_texture_strength_sees_known_pixels_only():
    y, x = np.indices((40, 40))
    rgb = np.repeat((100 + 8 * (x % 2))[..., None], 3, axis=2).astype(np.uint8)
    hole = np.zeros((40, 40), bool)
    hole[10:20, 10:20] = True
    other = rgb.copy()
    other[hole] = np.random.default_rng(0).integers(0, 256, (100, 3))
    strength = features.texture_strength(rgb, hole, 2.0, 5)
    np.testing.assert_array_equal(strength, features.texture_strength(other, hole, 2.0, 5))
    assert (strength[30, 30] == (16, 0)).all()


def test_flat_picture_has_no_texture_energy():
    assert (features.texture_energy(np.full((20, 20), 90, np.uint8)) == 0).all()


def test_high_band_round_trip():
    rng = np.random.default_rng(1)
    base = rng.integers(60, 190, (12, 12, 3), dtype=np.uint8)
    image = (base.astype(int) + rng.integers(-40, 40, base.shape)).astype(np.uint8)
    grey = features.luma(base)
    packed = np.empty((12, 12, 8), np.uint8)
    features.band_features(image, base, grey, grey, grey, packed, 0, 12)
    out, hole = np.zeros_like(base), np.ones((9, 10), bool)
    features.add_high(base, grey, np.ones(256, np.float32), hole, packed, out, np.array([3, 2, 1]), 0, 9)
    np.testing.assert_array_equal(out[3:, 2:], image[3:, 2:])
    assert (out[:3] == 0).all() and (out[:, :2] == 0).all()  # outside the hole's box


def test_energies_are_counted_by_class_in_the_hole_or_outside():
    rng = np.random.default_rng(2)
    packed = rng.integers(0, 256, (30, 20, 8), dtype=np.uint8)
    energy = rng.integers(0, 256, (30, 20), dtype=np.uint8)
    hole = rng.random((30, 20)) < 0.4
    rows, columns, classes = np.arange(1, 30, 3), np.arange(2, 20, 3), features.energy_classes()
    luma = np.abs((packed[1::3, 2::3, 3:6].astype(float) - 128) @ (0.299, 0.587, 0.114))
    for inside in (True, False):
        counts, sums = np.zeros((2, len(rows), features.CLASSES))
        features.add_energies(packed, energy, hole, inside, classes, rows, columns, counts, sums)
        where = hole[1::3, 2::3] == inside
        kinds = classes[energy[1::3, 2::3]][where]
        np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(kinds, minlength=features.CLASSES))
        np.testing.assert_allclose(sums.sum(axis=0), np.bincount(kinds, luma[where], features.CLASSES))


def test_gain_raises_the_high_band():
    base = np.full((8, 8, 3), 100, np.uint8)
    packed = np.zeros((8, 8, 8), np.uint8)
    packed[..., 3:6] = 128 + 20
    out = np.zeros_like(base)
    gain = np.full(256, 1.5, np.float32)
    features.add_high(base, base[..., 0], gain, np.ones((8, 8), bool), packed, out, np.array([0, 0, 1]), 0, 8)
    assert (out == 130).all() and (packed[..., 3:6] == 158).all()
