"""Invented objects: by a classifier that is given, and by the real one on a tiger that nothing around shows."""

import numpy as np
import torch
from PIL import Image

from eval.compose.objects import SHIPPED_OBJECTS, read_objects
from eval.compose.scene import Scene, compose
from eval.data.heldout import SHIPPED_SET
from eval.metrics.invented import EffNetClasses, invented


def by_red(pictures):
    """Two classes: the share of red pixels, and the rest."""
    shares = torch.tensor([float((picture[..., 0] > 200).mean()) for picture in pictures])
    return torch.stack([shares, 1 - shares], dim=1)


def test_a_class_counts_where_the_surroundings_lack_it():
    photo = np.zeros((200, 200, 3), np.uint8)
    hole = np.zeros((200, 200), bool)
    hole[80:120, 80:120] = True
    assert invented(photo, hole, by_red) == 0
    photo[80:120, 80:120, 0] = 255
    assert invented(photo, hole, by_red) == 1
    photo[80:120, 120:160, 0] = 255  # on the right there is the same
    photo[80:120, 40:80, 0] = 255
    assert invented(photo, hole, by_red) == 0


def test_without_surroundings_nothing_is_said():
    assert invented(np.zeros((60, 60, 3), np.uint8), np.ones((60, 60), bool), by_red) is None


def test_the_real_network_sees_a_tiger_in_the_sky():
    truth = np.asarray(Image.open(SHIPPED_SET / "images" / "sky_01_00.jpg"))
    tiger = next(one for one in read_objects(SHIPPED_OBJECTS) if one.name == "tiger")
    scene = Scene(180, 180, 140, 160, False, 0.3, 0.2, True, 0.0, 0.01, 0.0)
    seen, hole = compose(truth, tiger.rgba, scene)
    classes = EffNetClasses()
    assert invented(truth, hole, classes) == 0 and invented(seen, hole, classes) == 1
