"""LPIPS against its package called directly, and the offline distance against what must hold of any distance."""

import warnings

import pytest
import torch

from eval.metrics import pixels
from eval.metrics.perceptual import EffNetDistance, Lpips
from tests.helpers.synthetic import picture

FILL = pixels.to_bytes([picture(1, 72), picture(2, 72)])
TRUTH = pixels.to_bytes([picture(3, 72), picture(2, 72)])
MASK = torch.zeros(2, 72, 72, dtype=torch.bool)
MASK[0, 10:40, 20:60] = True
MASK[1, 5:20, 5:20] = True


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_equals_the_package_called_directly(net):
    """Random backbones: the wiring (range, order, map) is what is tested; the heads are the package's own."""
    ours = Lpips(net, random_backbone=True)
    picture_value, hole_value = ours(FILL, TRUTH, MASK)
    a, b = FILL.float() / 255, TRUTH.float() / 255
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ours.model(a, b, normalize=True).flatten()
        ours.model.spatial = True
        full = ours.model(a, b, normalize=True)[:, 0]
        ours.model.spatial = False
    torch.testing.assert_close(picture_value, theirs, rtol=1e-4, atol=1e-7)
    inside = torch.stack([full[index][MASK[index]].mean() for index in range(2)])
    torch.testing.assert_close(hole_value, inside, rtol=1e-4, atol=1e-7)
    assert picture_value[0] > 0 and picture_value[1] == 0


def test_offline_distance_is_zero_for_the_truth_symmetric_and_grows():
    distance = EffNetDistance(0)
    whole, hole = distance(FILL, TRUTH, MASK)
    back, _ = distance(TRUTH, FILL, MASK)
    torch.testing.assert_close(whole, back)
    assert whole[1] == hole[1] == 0 and whole[0] > 0.1 and hole[0] > 0.1
    near = pixels.to_bytes([(picture(3, 72) * 0.95).astype("uint8")])
    assert 0 < distance(near, TRUTH[:1], MASK[:1])[0] < whole[0]


def test_a_change_outside_the_hole_shows_more_in_the_picture_than_in_the_hole():
    changed = TRUTH[:1].clone()
    changed[:, :, 50:, :] = 0
    whole, hole = EffNetDistance(0)(changed, TRUTH[:1], MASK[:1])
    assert whole > hole > 0


def test_floats_are_refused():
    with pytest.raises(ValueError, match="must be .* uint8"):
        EffNetDistance(0)(FILL.float(), TRUTH, MASK)
